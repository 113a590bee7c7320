// life.go owns what happens to a pod's container over time: it starts, crashes,
// backs off, is restarted, or never gets its image. Pure: a clock comes in, and
// what a kubelet would know comes out.
package main

import (
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
)

// wishes are the annotations of a pod. They come from the pod template or are
// put on a live pod, and may change at any time.
type wishes struct {
	readyAfter time.Duration
	notReady   bool
	crashAfter time.Duration // negative: never
	imageError bool
	restart    string
	stopAfter  time.Duration
}

const defaultReadyAfter = 200 * time.Millisecond

// readWishes leaves the default where an annotation cannot be read, and says so.
func readWishes(annotations map[string]string) (wishes, error) {
	w := wishes{readyAfter: defaultReadyAfter, crashAfter: -1}
	var problem error
	duration := func(name string, to *time.Duration) {
		text, ok := annotations[prefix+name]
		if !ok {
			return
		}
		value, err := time.ParseDuration(text)
		if err != nil || value < 0 {
			problem = fmt.Errorf("annotation %s%s: %q is not a duration such as 3s", prefix, name, text)
			return
		}
		*to = value
	}
	duration("ready-after", &w.readyAfter)
	duration("crash-after", &w.crashAfter)
	duration("stop-after", &w.stopAfter)
	w.notReady = annotations[prefix+"ready"] == "false"
	w.imageError = annotations[prefix+"image-error"] != "" && annotations[prefix+"image-error"] != "false"
	w.restart = annotations[prefix+"restart"]
	return w, problem
}

// life is what has happened so far. The zero value is a pod that was just bound.
type life struct {
	started  time.Time // zero: not running
	exited   time.Time
	ran      time.Time // when the run began that ended at exited
	restarts int32
	mark     string // the restart annotation when it was last obeyed
	pulling  time.Time
}

func (l *life) running() bool { return !l.started.IsZero() }

func (l *life) exit(now time.Time) {
	l.exited, l.ran, l.started = now, l.started, time.Time{}
	l.restarts++
}

// advance brings life up to now. It returns why the container waits, if it
// does, and when to look again (0: only when something changes).
func (l *life) advance(now time.Time, w wishes) (*v1.ContainerStateWaiting, time.Duration) {
	if l.running() && w.restart != l.mark {
		l.exit(now)
		l.started = now
	}
	l.mark = w.restart
	if l.running() && w.crashAfter >= 0 && now.Sub(l.started) >= w.crashAfter {
		l.exit(now)
	}
	if !l.running() {
		if w.imageError {
			return l.pull(now)
		}
		if left := backoff(l.restarts) - now.Sub(l.exited); left > 0 && w.crashAfter >= 0 {
			return &v1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: fmt.Sprintf("back-off %s restarting failed container", backoff(l.restarts))}, left
		}
		l.started = now
	}
	if w.crashAfter >= 0 {
		return nil, w.crashAfter - now.Sub(l.started)
	}
	return nil, 0
}

// pull fails, and backs off after a second as a kubelet does.
func (l *life) pull(now time.Time) (*v1.ContainerStateWaiting, time.Duration) {
	if l.pulling.IsZero() {
		l.pulling = now
	}
	if left := time.Second - now.Sub(l.pulling); left > 0 {
		return &v1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "the annotation " + prefix + "image-error says so"}, left
	}
	return &v1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image"}, 0
}

// backoff is 1 s after the first crash and doubles up to a minute: a kubelet's
// rule with a tenth of its times.
func backoff(restarts int32) time.Duration {
	if restarts <= 0 {
		return 0
	}
	return min(time.Minute, time.Second<<min(restarts-1, 6))
}
