// prometheus.go owns how Prometheus is started and what it scrapes: every
// running pod with a port named "metrics", found through the API server.
package main

import (
	"fmt"
	"os"
)

// Pods report 10.N.x.y, because the API server refuses loopback addresses in
// EndpointSlices, but listen on 127.N.x.y. Paths are relative to this file.
const prometheusConfiguration = `global: {scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: 500ms}
scrape_configs:
- job_name: pods
  kubernetes_sd_configs: [{role: pod, kubeconfig_file: kubeconfig}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_label_histograms], regex: native, action: drop}
  - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: metrics, action: keep}
  - {source_labels: [__meta_kubernetes_pod_phase], regex: Running, action: keep}
  - {source_labels: [__address__], regex: '10\.(.+)', replacement: '127.$1', target_label: __address__}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
  - {source_labels: [__meta_kubernetes_pod_controller_name], target_label: replicaset}
  - {source_labels: [__meta_kubernetes_pod_label_app], target_label: app}
# The same exposition, kept as native histograms.
- job_name: native
  convert_classic_histograms_to_nhcb: true
  kubernetes_sd_configs: [{role: pod, kubeconfig_file: kubeconfig}]
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_label_histograms], regex: native, action: keep}
  - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: metrics, action: keep}
  - {source_labels: [__meta_kubernetes_pod_phase], regex: Running, action: keep}
  - {source_labels: [__address__], regex: '10\.(.+)', replacement: '127.$1', target_label: __address__}
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
  - {source_labels: [__meta_kubernetes_pod_controller_name], target_label: replicaset}
  - {source_labels: [__meta_kubernetes_pod_label_app], target_label: app}
`

const prometheusData = "prometheus"

func startPrometheus(o *options, m *members, port int) error {
	path := o.path("prometheus.yml")
	if err := os.WriteFile(path, []byte(prometheusConfiguration), 0o600); err != nil {
		return err
	}
	return m.start("prometheus", o.prometheus, "--config.file="+path,
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port),
		"--storage.tsdb.path="+o.path(prometheusData), "--storage.tsdb.no-lockfile", "--log.level=warn",
		"--scrape.discovery-reload-interval=100ms") // 5 s otherwise, during which a new pod is not seen
}
