// life_test.go tests what happens to a container over time.
package main

import (
	"testing"
	"time"
)

func TestBackoffDoublesUpToAMinute(t *testing.T) {
	for restarts, want := range map[int32]time.Duration{0: 0, 1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second,
		7: time.Minute, 40: time.Minute} {
		if got := backoff(restarts); got != want {
			t.Errorf("%d restarts: got %s, want %s", restarts, got, want)
		}
	}
}

func TestCrashLoop(t *testing.T) {
	w, err := readWishes(map[string]string{prefix + "crash-after": "1s"})
	if err != nil {
		t.Fatal(err)
	}
	l := life{}
	for _, step := range []struct {
		at       time.Duration
		reason   string
		restarts int32
		again    time.Duration
	}{
		{0, "", 0, time.Second},
		{time.Second, "CrashLoopBackOff", 1, time.Second},
		{2 * time.Second, "", 1, time.Second},
		{3 * time.Second, "CrashLoopBackOff", 2, 2 * time.Second},
		{4 * time.Second, "CrashLoopBackOff", 2, time.Second},
		{5 * time.Second, "", 2, time.Second},
	} {
		waiting, again := l.advance(epoch.Add(step.at), w)
		reason := ""
		if waiting != nil {
			reason = waiting.Reason
		}
		if reason != step.reason || l.restarts != step.restarts || again != step.again || l.running() != (reason == "") {
			t.Errorf("after %s: got %q, %d restarts, again after %s", step.at, reason, l.restarts, again)
		}
	}
	if waiting, _ := l.advance(epoch.Add(6*time.Second), wishes{crashAfter: -1}); waiting != nil || !l.running() {
		t.Error("it does not go on after the annotation was removed")
	}
}

func TestImageErrorEndsWithTheAnnotation(t *testing.T) {
	l, broken, whole := life{}, wishes{imageError: true, crashAfter: -1}, wishes{crashAfter: -1}
	if waiting, _ := l.advance(epoch, broken); waiting == nil || waiting.Reason != "ErrImagePull" {
		t.Errorf("got %v", waiting)
	}
	if waiting, _ := l.advance(epoch.Add(time.Second), broken); waiting == nil || waiting.Reason != "ImagePullBackOff" {
		t.Errorf("got %v", waiting)
	}
	if waiting, _ := l.advance(epoch.Add(2*time.Second), whole); waiting != nil || !l.running() {
		t.Error("it does not start")
	}
	if waiting, _ := l.advance(epoch.Add(3*time.Second), broken); waiting != nil || !l.running() {
		t.Error("a running container needs no image")
	}
}

func TestRestartHappensOnceForEachValue(t *testing.T) {
	l := life{mark: "1"}
	for i, c := range []struct {
		value string
		want  int32
	}{{"1", 0}, {"2", 1}, {"2", 1}, {"3", 2}} {
		l.advance(epoch.Add(time.Duration(i)*time.Second), wishes{restart: c.value, crashAfter: -1})
		if l.restarts != c.want || !l.running() {
			t.Errorf("value %s: %d restarts", c.value, l.restarts)
		}
	}
}

func TestUnreadableAnnotationsAreSaid(t *testing.T) {
	w, err := readWishes(map[string]string{prefix + "ready-after": "3"})
	if err == nil || w.readyAfter != defaultReadyAfter {
		t.Errorf("got %v, %v", w, err)
	}
}
