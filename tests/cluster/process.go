// process.go owns processes: starting a member of the cluster, knowing whether
// a recorded pid is still ours, and showing the end of a log.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// members are the processes of one cluster. They live and die together.
type members struct {
	options *options
	ended   chan error
	running []*exec.Cmd
}

// start runs one member in the state directory. The kernel kills it when the
// thread that started it ends, so the caller must have locked its own.
func (m *members) start(name, program string, args ...string) error {
	path := m.options.path("log", name+".log")
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(program, args...)
	command.Stdout, command.Stderr, command.Dir = log, log, m.options.dir
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	m.running = append(m.running, command)
	go func() {
		err := command.Wait()
		m.ended <- fmt.Errorf("%s ended: %s; the end of %s:\n%s", name, exitWords(err), path, tail(path))
	}()
	return writePID(m.options.path(name+".pid"), command.Process.Pid)
}

// kill ends every member at once: the data is disposable, and an API server
// whose etcd is gone would hang on a gentler signal and keep its port.
func (m *members) kill() {
	for _, command := range m.running {
		command.Process.Kill()
	}
	for range m.running {
		<-m.ended
	}
}

func exitWords(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

func writePID(path string, pid int) error {
	return os.WriteFile(path, fmt.Appendf(nil, "%d\n", pid), 0o600)
}

// readPID reads a pid file and tells whether that process is still the one
// which was started for the state directory.
func readPID(path, dir string) (int, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid, err == nil && processOf(pid, dir)
}

// processOf tells whether pid runs this very program for the state directory,
// because a pid that was written down may belong to a stranger by now.
func processOf(pid int, dir string) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	program, err := os.Readlink(filepath.Join(proc, "exe"))
	if err != nil {
		return false
	}
	self, err := os.Executable()
	if err != nil || strings.TrimSuffix(program, " (deleted)") != self {
		return false
	}
	arguments, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	return err == nil && slices.Contains(strings.Split(string(arguments), "\x00"), "--dir="+dir)
}

const tailLines = 15

// tail returns the last lines of a log, for an error message.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-tailLines):], "\n  ")
}
