// logs.go owns the kubelet's own endpoint, which answers `kubectl logs` with
// what a container of this simulation has to say: how it was started.
package main

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"
)

func (k *kubelet) serveLogs(pair string) (int32, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/containerLogs/{namespace}/{pod}/{container}", func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		s := k.state[r.PathValue("namespace")+"/"+r.PathValue("pod")]
		if s == nil || s.workload == nil {
			http.Error(w, "the container is not running", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%s %s started\n", s.workload.started.UTC().Format(time.RFC3339Nano), r.PathValue("container"))
		for _, name := range slices.Sorted(maps.Keys(s.workload.environment)) {
			fmt.Fprintf(w, "environment: %s=%s\n", name, s.workload.environment[name])
		}
	})
	go http.ServeTLS(listener, mux, pair+".crt", pair+".key")
	return int32(listener.Addr().(*net.TCPAddr).Port), nil
}
