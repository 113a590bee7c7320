// breaker.go owns the circuit breakers of a simulated pod: whether one is
// switched on, which state it is in at a given time, and what it has counted.
package main

import (
	"strconv"
	"strings"
	"time"
)

// The values of the state metric.
const (
	closed   = 0
	halfOpen = 1
	open     = 2
)

type breakerKind struct {
	label    string // of the metrics
	variable string // the beginning of its environment variables
}

const breakerCount = 3

var breakerKinds = [breakerCount]breakerKind{
	{"redis-cache", "CB_CACHE"}, {"partner-http-api", "CB_HTTP"}, {"analytics-db", "CB_DB"},
}

const (
	defaultOpenFor     = time.Minute
	defaultHalfOpenFor = 3 * time.Second
	// A breaker that trips at the first failure is seen closed first, as every
	// breaker starts closed.
	closedBeforeTrip = 2 * time.Second
)

type breaker struct {
	label    string
	enabled  bool
	touchy   bool          // its threshold is so low that it trips on a healthy dependency
	openFor  time.Duration // its own reset timeout
	requests uint64
	failures uint64
	owed     struct{ requests, failures float64 }
	mode     string    // what it was told last
	since    time.Time // and when that began
	value    int       // of the state metric
}

func newBreaker(kind breakerKind, environment map[string]string, started time.Time, phase float64) breaker {
	b := breaker{label: kind.label, enabled: isOn(environment[kind.variable+"_ENABLED"]), openFor: defaultOpenFor, since: started}
	if threshold, err := strconv.Atoi(environment[kind.variable+"_FAILURE_THRESHOLD"]); err == nil && threshold <= 1 {
		b.touchy = true
	}
	if ms, err := strconv.Atoi(environment[kind.variable+"_RESET_TIMEOUT_MS"]); err == nil && ms > 0 {
		b.openFor = time.Duration(ms) * time.Millisecond
	}
	b.owed.requests, b.owed.failures = phase, phase
	return b
}

func isOn(value string) bool {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "true", "1", "yes", "on":
		return true
	}
	return false
}

// advance lets time pass. A breaker that is switched off is not in the way of
// any call, so it counts none. An open one refuses its calls at once: they are
// counted as requests and not as failures of the dependency.
func (b *breaker) advance(now time.Time, passed time.Duration, rps float64, s breakerSettings) {
	if s.State != b.mode {
		b.mode, b.since = s.State, now.Add(-passed)
	}
	b.value = b.stateAt(now, s)
	if !b.enabled {
		return
	}
	if s.Requests != nil {
		rps = *s.Requests
	}
	calls := take(&b.owed.requests, rps*passed.Seconds())
	b.requests += calls
	if b.value == open || s.FailureRate == 0 {
		return
	}
	b.failures += take(&b.owed.failures, float64(calls)*float64(s.FailureRate))
}

func (b *breaker) stateAt(now time.Time, s breakerSettings) int {
	if !b.enabled {
		return closed
	}
	age := now.Sub(b.since)
	switch s.State {
	case "open":
		return open
	case "half_open":
		return halfOpen
	case "closed":
		return closed
	case "flicker":
		return b.cycle(age, s)
	}
	if !b.touchy || age < closedBeforeTrip {
		return closed
	}
	return b.cycle(age-closedBeforeTrip, s)
}

// cycle goes from open over half open back to open, by way of closed if that is
// given a time.
func (b *breaker) cycle(age time.Duration, s breakerSettings) int {
	openFor, halfOpenFor := b.openFor, defaultHalfOpenFor
	if s.OpenFor > 0 {
		openFor = time.Duration(s.OpenFor)
	}
	if s.HalfOpenFor > 0 {
		halfOpenFor = time.Duration(s.HalfOpenFor)
	}
	switch into := age % (openFor + halfOpenFor + time.Duration(s.ClosedFor)); {
	case into < openFor:
		return open
	case into < openFor+halfOpenFor:
		return halfOpen
	}
	return closed
}
