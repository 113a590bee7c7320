// workload.go owns the simulated service inside a pod: an HTTP server at the
// pod's own address that answers as the scenario says. Its numbers are made in
// traffic.go and written in exposition.go.
package main

import (
	"hash/fnv"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
)

type workload struct {
	pod         string
	environment map[string]string
	restarts    int32 // which run of the container this is
	started     time.Time
	probed      bool // whether its readiness is probed at all
	server      *http.Server

	mu        sync.Mutex
	scenario  *scenario
	part      float64 // of the traffic that the scenario divides, in requests a second
	behaviour behaviour
	traffic   *traffic
}

func startWorkload(pod *v1.Pod, container *v1.Container, environment map[string]string, l life, address string, s *scenario) (*workload, error) {
	w := &workload{pod: pod.Name, environment: environment, restarts: l.restarts, started: l.started,
		probed: container.ReadinessProbe != nil}
	w.scenario, w.behaviour = s, s.behaviourOf(w.pod, environment, 0)
	w.traffic = newTraffic(seedOf(pod.Name), environment, l.started)
	listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(workloadPort)))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", w.serveMetrics)
	mux.HandleFunc("/readinessz", w.serveReadiness)
	mux.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) { answer.Write([]byte("ok\n")) })
	w.server = &http.Server{Handler: mux}
	go w.server.Serve(listener)
	return w, nil
}

// seedOf makes what is random about a pod the same whenever it has this name.
func seedOf(pod string) uint64 {
	hash := fnv.New64a()
	hash.Write([]byte(pod))
	return hash.Sum64()
}

// stop breaks open connections too, as the end of a process does.
func (w *workload) stop() {
	if w != nil {
		w.server.Close()
	}
}

// follow takes over a scenario.
func (w *workload) follow(s *scenario, now time.Time) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.become(s, w.part, now)
}

// receive takes over a part of the traffic.
func (w *workload) receive(part float64, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.become(w.scenario, part, now)
}

// become brings the counters up to now first, because what happened until now
// happened under what was there before.
func (w *workload) become(s *scenario, part float64, now time.Time) {
	w.traffic.advance(now, w.behaviour)
	w.scenario, w.part, w.behaviour = s, part, s.behaviourOf(w.pod, w.environment, part)
}

// passesProbe is what a kubelet would find out by probing /readinessz.
func (w *workload) passesProbe() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.probed || w.behaviour.Ready
}

func (w *workload) serveReadiness(answer http.ResponseWriter, _ *http.Request) {
	w.mu.Lock()
	ready := w.behaviour.Ready
	w.mu.Unlock()
	if !ready {
		http.Error(answer, "not ready", http.StatusServiceUnavailable)
		return
	}
	answer.Write([]byte("ok\n"))
}

func (w *workload) serveMetrics(answer http.ResponseWriter, request *http.Request) {
	w.mu.Lock()
	mode := w.behaviour.Metrics
	w.traffic.advance(time.Now(), w.behaviour)
	text := w.traffic.exposition(w.behaviour)
	w.mu.Unlock()
	switch mode {
	case metricsMissing:
		http.NotFound(answer, request)
	case metricsFail:
		http.Error(answer, "the scenario says so", http.StatusInternalServerError)
	case metricsHang:
		<-request.Context().Done()
	default:
		answer.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		answer.Write(text)
	}
}
