package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// A subject is a command that is measured beside others.
type subject struct {
	name string
	// make gives the command for one round, so that each round can change something.
	make func(round int) *exec.Cmd
	// ok lists exit codes that count as having worked, besides 0.
	ok []int

	wall []time.Duration
	rss  []int64
}

// measure runs the subjects in turn, so that whatever else the machine does meets all of them alike.
func measure(rounds int, subjects ...*subject) error {
	for round := range rounds {
		for _, s := range subjects {
			command := s.make(round)
			var stderr bytes.Buffer
			command.Stderr = &stderr
			began := time.Now()
			err := command.Run()
			took := time.Since(began)
			code := command.ProcessState.ExitCode()
			if err != nil && !slices.Contains(s.ok, code) {
				return fmt.Errorf("%s: %w\n%s", s.name, err, stderr.String())
			}
			if round == 0 && rounds > 1 {
				continue // The first round warms caches.
			}
			s.wall = append(s.wall, took)
			if usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage); ok {
				s.rss = append(s.rss, usage.Maxrss)
			}
		}
	}
	return nil
}

func median[T int64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func (s *subject) time() time.Duration { return median(s.wall) }

func (s *subject) print() {
	fmt.Printf("  %-44s %8.1f ms   %6.1f MiB\n", s.name, float64(s.time().Microseconds())/1000, float64(median(s.rss))/1024)
}

// judge prints a figure beside its limit.
func judge(what string, value, limit float64, unit string) {
	word := "met"
	if value > limit {
		word = "MISSED"
	}
	fmt.Printf("  %-6s %s: %.2f%s, at most %.2f%s\n", word, what, value, unit, limit, unit)
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	return value
}
