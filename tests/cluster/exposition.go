// exposition.go owns the text that a simulated pod answers to a scrape.
package main

import (
	"bytes"
	"fmt"
)

func (t *traffic) exposition(b behaviour) []byte {
	out := &bytes.Buffer{}
	family := func(name, kind, help string) {
		fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	}
	family("updog_circuit_breaker_requests_total", "counter", "Calls made through the circuit breaker.")
	for _, one := range t.breakers {
		fmt.Fprintf(out, "updog_circuit_breaker_requests_total{breaker_name=%q} %d\n", one.label, one.requests)
	}
	family("updog_circuit_breaker_failures_total", "counter", "Calls that the dependency failed.")
	for _, one := range t.breakers {
		fmt.Fprintf(out, "updog_circuit_breaker_failures_total{breaker_name=%q} %d\n", one.label, one.failures)
	}
	family("updog_circuit_breaker_state", "gauge", "State of the circuit breaker: 0 closed, 1 half-open, 2 open.")
	for _, one := range t.breakers {
		fmt.Fprintf(out, "updog_circuit_breaker_state{breaker_name=%q} %d\n", one.label, one.value)
	}
	family("http_request_duration_seconds", "histogram", "Time to answer a request.")
	t.ok.write(out, "200")
	if t.failed.count > 0 { // a client library knows no label value that it has never met
		t.failed.write(out, "500")
	}
	family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.")
	fmt.Fprintf(out, "process_resident_memory_bytes %.0f\n", t.memory(b))
	return out.Bytes()
}

func (h *histogram) write(out *bytes.Buffer, status string) {
	for i, edge := range bucketEdges {
		fmt.Fprintf(out, "http_request_duration_seconds_bucket{status=%q,le=\"%g\"} %d\n", status, edge, h.bucket(i))
	}
	fmt.Fprintf(out, "http_request_duration_seconds_bucket{status=%q,le=\"+Inf\"} %d\n", status, h.count)
	fmt.Fprintf(out, "http_request_duration_seconds_sum{status=%q} %g\n", status, h.sum)
	fmt.Fprintf(out, "http_request_duration_seconds_count{status=%q} %d\n", status, h.count)
}
