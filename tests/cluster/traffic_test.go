// traffic_test.go tests the numbers of a simulated pod: exact, whole, and the
// same however often somebody looks.
package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// run lets the time pass in steps and calls look, if given, after each.
func run(t *traffic, b behaviour, total, step time.Duration, look func()) {
	for until := t.at.Add(total); t.at.Before(until); {
		t.advance(t.at.Add(step), b)
		if look != nil {
			look()
		}
	}
}

func TestSharesAreExactInTheLongRun(t *testing.T) {
	for _, step := range []time.Duration{time.Second, 137 * time.Millisecond, 7 * time.Millisecond} {
		b := defaultBehaviour()
		b.ErrorRate = 0.05
		pod := newTraffic(seedOf("updog-1"), nil, epoch)
		run(pod, b, 1000*time.Second, step, nil)
		total := pod.ok.count + pod.failed.count
		if math.Abs(float64(total)-100_000) > 20 || math.Abs(float64(pod.failed.count)-0.05*float64(total)) > 1 {
			t.Errorf("step %s: %d errors in %d requests", step, pod.failed.count, total)
		}
	}
}

func TestZeroAndAllAreExact(t *testing.T) {
	b := defaultBehaviour()
	pod := newTraffic(1, nil, epoch)
	run(pod, b, time.Hour, 500*time.Millisecond, nil)
	if pod.failed.count != 0 || strings.Contains(string(pod.exposition(b)), `"500"`) {
		t.Errorf("%d errors at a rate of zero", pod.failed.count)
	}
	b.ErrorRate, b.Burst = 0.5, 1000
	run(pod, b, 15*time.Second, time.Second, nil) // leaves a debt of some hundred errors
	b.ErrorRate = 0
	before := pod.failed.count
	run(pod, b, time.Minute, time.Second, nil)
	if pod.failed.count != before {
		t.Errorf("%d errors after the rate went to zero", pod.failed.count-before)
	}
	b.ErrorRate, b.Burst = 1, 1
	before = pod.ok.count
	run(pod, b, time.Minute, 333*time.Millisecond, nil)
	if pod.ok.count != before {
		t.Errorf("%d successes at an error rate of one", pod.ok.count-before)
	}
}

func TestErrorsComeInBursts(t *testing.T) {
	b := defaultBehaviour()
	b.ErrorRate, b.Burst = 0.05, 8
	pod := newTraffic(1, nil, epoch)
	before, groups := uint64(0), 0
	run(pod, b, 100*time.Second, 500*time.Millisecond, func() {
		if grown := pod.failed.count - before; grown > 0 {
			groups++
			if grown != 8 {
				t.Fatalf("a group of %d errors", grown)
			}
		}
		before = pod.failed.count
	})
	if groups < 61 || groups > 63 {
		t.Errorf("%d groups of 8 errors instead of 500 errors", groups)
	}
}

func TestTheSameSeedCountsTheSame(t *testing.T) {
	b := defaultBehaviour()
	b.ErrorRate = 0.013
	once, again := newTraffic(seedOf("a"), nil, epoch), newTraffic(seedOf("a"), nil, epoch)
	run(once, b, time.Minute, 500*time.Millisecond, nil)
	run(again, b, time.Minute, 500*time.Millisecond, nil)
	if string(once.exposition(b)) != string(again.exposition(b)) {
		t.Error("two pods of the same name differ")
	}
}

func TestHistogramIsCumulativeAndNeverFalls(t *testing.T) {
	b := defaultBehaviour()
	pod := newTraffic(3, nil, epoch)
	var before histogram
	for _, latency := range []time.Duration{20 * time.Millisecond, 700 * time.Millisecond, time.Millisecond} {
		b.Latency = duration(latency)
		run(pod, b, 20*time.Second, 90*time.Millisecond, func() {
			for i := range bucketEdges {
				if pod.ok.bucket(i) < before.bucket(i) || i > 0 && pod.ok.bucket(i) < pod.ok.bucket(i-1) || pod.ok.bucket(i) > pod.ok.count {
					t.Fatalf("bucket %g: %d after %d", bucketEdges[i], pod.ok.bucket(i), before.bucket(i))
				}
			}
			before = pod.ok
		})
	}
}

func TestDistribution(t *testing.T) {
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: got %g, want %g", what, got, want)
		}
	}
	near("median", distribution{median: .05, spread: 2}.below(.05), .5)
	near("95th percentile", distribution{median: .05, spread: 2}.below(.1), .95)
	near("far above", distribution{median: .02, spread: 2}.below(2.5), 1)
	near("no spread, below", distribution{median: .3, spread: 1}.below(.25), 0)
	near("no spread, above", distribution{median: .3, spread: 1}.below(.4), 1)
	near("slow ones", distribution{median: .02, spread: 2, slowShare: .07, slow: .45}.below(.4), .93)
	near("at the edge", distribution{median: .02, spread: 2, slowShare: .07, slow: .4}.below(.4), 1)
}

func TestEnabledBreakersCostAMillisecondEach(t *testing.T) {
	environment := map[string]string{"CB_CACHE_ENABLED": "true", "CB_DB_ENABLED": "1", "CB_HTTP_ENABLED": "false"}
	if got := newTraffic(1, environment, epoch).latency(defaultBehaviour()).median; math.Abs(got-0.022) > 1e-9 {
		t.Errorf("got %g", got)
	}
}

func TestMemoryLeaksByTheMinute(t *testing.T) {
	b := defaultBehaviour()
	b.Leak = 1 << 20
	pod := newTraffic(1, nil, epoch)
	run(pod, b, 10*time.Minute, time.Second, nil)
	if got := pod.memory(b); math.Abs(got-210*(1<<20)) > 1 {
		t.Errorf("got %f", got)
	}
}

func TestExpositionIsWhatAScrapeExpects(t *testing.T) {
	b := defaultBehaviour()
	b.ErrorRate = 1
	pod := newTraffic(1, nil, epoch)
	run(pod, b, time.Second, time.Second, nil)
	text := string(pod.exposition(b))
	for _, line := range []string{
		"# TYPE updog_circuit_breaker_state gauge\n",
		`updog_circuit_breaker_state{breaker_name="redis-cache"} 0` + "\n",
		`updog_circuit_breaker_requests_total{breaker_name="partner-http-api"} 0` + "\n",
		`updog_circuit_breaker_failures_total{breaker_name="analytics-db"} 0` + "\n",
		"# TYPE http_request_duration_seconds histogram\n",
		`http_request_duration_seconds_count{status="200"} 0` + "\n",
		`http_request_duration_seconds_bucket{status="500",le="2.5"} 100` + "\n",
		`http_request_duration_seconds_bucket{status="500",le="+Inf"} 100` + "\n",
		"process_resident_memory_bytes 209715200\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("missing %q in\n%s", line, text)
		}
	}
}
