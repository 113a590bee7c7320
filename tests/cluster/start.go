// start.go owns `testcluster start`: it finds the running cluster or puts a
// supervisor into the background, waits until everything answers, and prints
// the lines that a script reads.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const startTimeout = 5 * time.Minute

func runStart(args []string) error {
	flags := flag.NewFlagSet("start", flag.ContinueOnError)
	o := &options{}
	o.register(flags)
	kubectl := flags.String("kubectl", "", "the kubectl program, only to be printed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	unlock, err := lockFile(o.dir + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	r, err := ensureRunning(o)
	if err != nil {
		return fmt.Errorf("cluster %q: %w", o.name, err)
	}
	fmt.Printf("KUBECONFIG=%s\nPROMETHEUS=%s\nKUBECTL=%s\nDIR=%s\n",
		shellWord(o.path("kubeconfig")), prometheusURL(r.PrometheusPort), shellWord(*kubectl), shellWord(o.dir))
	return nil
}

// ensureRunning must be called with the lock held, so that two at once do not
// start two supervisors in one directory.
func ensureRunning(o *options) (*ready, error) {
	began := time.Now()
	if pid, alive := readPID(o.path(supervisor+".pid"), o.dir); alive {
		r, err := awaitReady(o, nil, func() bool { return processOf(pid, o.dir) })
		if err != nil {
			return nil, err
		}
		if err := o.contradicts(r); err != nil {
			return nil, err
		}
		if err := answers(o, r); err != nil {
			return nil, fmt.Errorf("it runs (process %d) but %w; end it with tests/cluster/down, or continue what was paused", pid, err)
		}
		return r, nil
	}
	if last, err := os.ReadFile(o.path(failureFile)); err == nil {
		fmt.Fprintf(os.Stderr, "the cluster %q that ran before ended: %s\n", o.name, firstLine(string(last)))
	}
	fmt.Fprintf(os.Stderr, "starting the test cluster %q\n", o.name)
	if err := empty(o); err != nil {
		return nil, err
	}
	ended, pid, err := detach(o)
	if err != nil {
		return nil, err
	}
	r, err := awaitReady(o, ended, func() bool { return true })
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "ready after %.1f s (process %d, log in %s)\n", time.Since(began).Seconds(), pid, o.path("log"))
	return r, nil
}

// empty removes what the last cluster left, and nothing that is not a cluster's.
func empty(o *options) error {
	if entries, err := os.ReadDir(o.dir); err == nil && len(entries) > 0 {
		if _, err := os.Stat(o.path("log")); err != nil {
			return fmt.Errorf("%s is not empty and not the state directory of a cluster", o.dir)
		}
	}
	return os.RemoveAll(o.dir)
}

// contradicts tells when the running cluster is not the one that was asked for.
func (o *options) contradicts(r *ready) error {
	for _, c := range []struct {
		flag         string
		wanted, have int
	}{{"--port", o.port, r.Port}, {"--prometheus-port", o.prometheusPort, r.PrometheusPort}, {"--net", o.net, r.Net}} {
		if c.wanted != 0 && c.wanted != c.have {
			return fmt.Errorf("it runs already with %s %d, not %d; end it first with tests/cluster/down", c.flag, c.have, c.wanted)
		}
	}
	return nil
}

// detach starts the supervisor in a session of its own. Whatever descriptors
// this process has inherited must not reach it: a script that reads our output
// through a pipe would otherwise wait for the cluster to end.
func detach(o *options) (<-chan error, int, error) {
	if err := os.MkdirAll(o.path("log"), 0o700); err != nil {
		return nil, 0, err
	}
	if err := closeInheritedOnExec(); err != nil {
		return nil, 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	log, err := os.Create(o.path("log", supervisor+".log"))
	if err != nil {
		return nil, 0, err
	}
	defer log.Close()
	command := exec.Command(self, append([]string{"run"}, o.arguments()...)...)
	command.Stdout, command.Stderr, command.Dir = log, log, o.dir
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, 0, err
	}
	if err := writePID(o.path(supervisor+".pid"), command.Process.Pid); err != nil {
		return nil, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	return ended, command.Process.Pid, nil
}

func closeInheritedOnExec() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if descriptor, err := strconv.Atoi(entry.Name()); err == nil && descriptor > 2 {
			syscall.CloseOnExec(descriptor)
		}
	}
	return nil
}

// awaitReady waits for the supervisor's word. A nil channel never reports, as
// the supervisor is then no child of this process; alive is asked instead.
func awaitReady(o *options, ended <-chan error, alive func() bool) (*ready, error) {
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
		if r, err := o.readReady(); err == nil {
			return r, nil
		}
		select {
		case <-ended:
			return nil, failure(o)
		case <-time.After(20 * time.Millisecond):
		}
		if !alive() {
			return nil, failure(o)
		}
	}
	return nil, fmt.Errorf("not ready after %s; the logs are in %s", startTimeout, o.path("log"))
}

// failure says why a cluster did not start, once: the next start need not repeat it.
func failure(o *options) error {
	if text, err := os.ReadFile(o.path(failureFile)); err == nil {
		os.Remove(o.path(failureFile))
		return errors.New(strings.TrimSpace(string(text)))
	}
	return fmt.Errorf("the supervisor ended without a word\n%s", tail(o.path("log", supervisor+".log")))
}

// lockFile waits for the lock. The kernel lifts it when this process ends.
func lockFile(path string) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		fmt.Fprintln(os.Stderr, "waiting for another start of the same cluster")
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			return nil, err
		}
	}
	return func() { file.Close() }, nil
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// shellWord quotes only what needs it, so that `eval` and line readers both work
// wherever the path is an ordinary one.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
