// breaker_test.go tests the states of a simulated circuit breaker over time.
package main

import (
	"testing"
	"time"
)

// states looks at a breaker every second and writes one letter each: closed,
// half-open, open.
func states(b breaker, s breakerSettings, seconds int) string {
	letters := ""
	for i := range seconds {
		passed := time.Second
		if i == 0 {
			passed = 0
		}
		b.advance(epoch.Add(time.Duration(i)*time.Second), passed, 100, s)
		letters += string("cho"[b.value])
	}
	return letters
}

func TestBreakerStates(t *testing.T) {
	on := map[string]string{"CB_CACHE_ENABLED": "true"}
	touchy := map[string]string{"CB_CACHE_ENABLED": "true", "CB_CACHE_FAILURE_THRESHOLD": "1", "CB_CACHE_RESET_TIMEOUT_MS": "4000"}
	off := map[string]string{"CB_CACHE_ENABLED": "false", "CB_CACHE_FAILURE_THRESHOLD": "0"}
	times := breakerSettings{State: "flicker", OpenFor: duration(3 * time.Second), HalfOpenFor: duration(time.Second)}
	flapping := times
	flapping.ClosedFor = duration(2 * time.Second)
	for _, c := range []struct {
		name        string
		environment map[string]string
		settings    breakerSettings
		want        string
	}{
		{"healthy", on, breakerSettings{}, "cccccccccccc"},
		{"switched off, whatever it is told", off, breakerSettings{State: "open"}, "cccccccccccc"},
		{"open", on, breakerSettings{State: "open"}, "oooooooooooo"},
		{"half open", on, breakerSettings{State: "half_open"}, "hhhhhhhhhhhh"},
		{"flicker", on, times, "ooohooohoooh"},
		{"flapping", on, flapping, "ooohccooohcc"},
		{"trips on nothing, after its own reset timeout", touchy, breakerSettings{}, "ccoooohhhooo"},
		{"a scenario outranks the threshold", touchy, breakerSettings{State: "closed"}, "cccccccccccc"},
	} {
		if got := states(newBreaker(breakerKinds[0], c.environment, epoch, 0), c.settings, len(c.want)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestBreakerCounts(t *testing.T) {
	count := func(environment map[string]string, s breakerSettings) (uint64, uint64) {
		b := newBreaker(breakerKinds[0], environment, epoch, 0)
		for i := 1; i <= 20; i++ {
			b.advance(epoch.Add(time.Duration(i)*500*time.Millisecond), 500*time.Millisecond, 100, s)
		}
		return b.requests, b.failures
	}
	on := map[string]string{"CB_CACHE_ENABLED": "true"}
	fifty := 50.0
	for _, c := range []struct {
		name               string
		environment        map[string]string
		settings           breakerSettings
		requests, failures uint64
	}{
		{"as many as the pod has", on, breakerSettings{}, 1000, 0},
		{"its own rate", on, breakerSettings{Requests: &fifty}, 500, 0},
		{"failures", on, breakerSettings{FailureRate: 0.1}, 1000, 100},
		{"an open one fails nothing", on, breakerSettings{FailureRate: 0.1, State: "open"}, 1000, 0},
		{"switched off", nil, breakerSettings{FailureRate: 0.1}, 0, 0},
	} {
		requests, failures := count(c.environment, c.settings)
		if requests != c.requests || failures != c.failures {
			t.Errorf("%s: got %d and %d", c.name, requests, failures)
		}
	}
}
