// traffic.go owns the requests of one simulated pod: how many there were, how
// many failed, how long they took and how much memory they cost. Pure: it
// advances to the time it is given. Every count is an integer, and what is left
// of a fraction is carried into the next step, so that shares are exact in the
// long run however often somebody looks.
package main

import (
	"math"
	"math/rand/v2"
	"time"
)

type traffic struct {
	at       time.Time
	requests float64 // owed, below one between two steps
	errors   float64 // owed, below one burst between two steps
	ok       histogram
	failed   histogram
	leaked   float64 // bytes
	breakers [breakerCount]breaker
}

// newTraffic begins with nothing counted. The seed only decides when the first
// of everything is due, so that pods do not count in lockstep.
func newTraffic(seed uint64, environment map[string]string, started time.Time) *traffic {
	random := rand.New(rand.NewPCG(seed, 0))
	t := &traffic{at: started, requests: random.Float64(), errors: random.Float64()}
	for i := range t.breakers {
		t.breakers[i] = newBreaker(breakerKinds[i], environment, started, random.Float64())
	}
	return t
}

// advance lets time pass under one behaviour.
func (t *traffic) advance(now time.Time, b behaviour) {
	passed := now.Sub(t.at)
	if passed < 0 {
		return
	}
	t.at = now
	total := take(&t.requests, b.RPS*passed.Seconds())
	failed := t.fail(total, b)
	latency := t.latency(b)
	t.ok.add(total-failed, latency)
	t.failed.add(failed, latency)
	t.leaked += float64(b.Leak) * passed.Minutes()
	for i := range t.breakers {
		t.breakers[i].advance(now, passed, b.RPS, b.Breakers.of(i))
	}
}

// fail decides how many of the new requests failed. Errors come in whole bursts;
// a burst that does not fit into this step continues in the next one.
func (t *traffic) fail(total uint64, b behaviour) uint64 {
	if b.ErrorRate == 0 {
		t.errors = math.Mod(t.errors, 1) // a debt of an earlier rate is forgiven: zero means none at all
		return 0
	}
	t.errors += float64(total) * float64(b.ErrorRate)
	burst := float64(b.Burst)
	due := min(math.Floor(t.errors/burst)*burst, float64(total))
	t.errors -= due
	return uint64(due)
}

// take adds to what is owed and takes the whole part out of it.
func take(owed *float64, more float64) uint64 {
	*owed += more
	whole := math.Floor(*owed)
	*owed -= whole
	return uint64(whole)
}

// latency is that of the scenario and one millisecond for every breaker that is
// switched on.
func (t *traffic) latency(b behaviour) distribution {
	cost := 0.0
	for i := range t.breakers {
		if t.breakers[i].enabled {
			cost += 0.001
		}
	}
	return distribution{median: b.Latency.seconds() + cost, spread: b.Spread, slowShare: float64(b.SlowShare), slow: b.SlowLatency.seconds() + cost}
}

func (t *traffic) memory(b behaviour) float64 { return float64(b.Memory) + math.Floor(t.leaked) }
