// egress.go owns the way from the API server to pods and kubelets: a proxy that
// turns the address a pod reports into the one it listens on. With it,
// pods/proxy, services/proxy and logs are the real ones.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

// Relative to the state directory, in which every member runs, because the
// path of a unix socket must not exceed some hundred characters.
const (
	egressFile   = "egress.yaml"
	egressSocket = "egress.sock"
)

func writeEgress(path string) error {
	return os.WriteFile(path, fmt.Appendf(nil, `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection: {proxyProtocol: HTTPConnect, transport: {uds: {udsName: %q}}}
`, egressSocket), 0o600)
}

// serveEgress answers the API server's CONNECT requests and refuses whatever
// is not loopback after the translation.
func serveEgress(socket string, translate func(string) string) error {
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address := translate(r.Host)
		host, _, _ := net.SplitHostPort(address)
		if ip := net.ParseIP(host); r.Method != http.MethodConnect || ip == nil || !ip.IsLoopback() {
			http.Error(w, "not in this cluster: "+address, http.StatusForbidden)
			return
		}
		up, err := net.Dial("tcp", address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer up.Close()
		down, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer down.Close()
		fmt.Fprint(down, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() {
			io.Copy(up, buffered)
			up.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(down, up)
	}))
	return nil
}

// translatePodAddress maps 10.NET.x.y to 127.NET.x.y.
func translatePodAddress(net2 int) func(string) string {
	from, to := fmt.Sprintf("10.%d.", net2), fmt.Sprintf("127.%d.", net2)
	return func(address string) string {
		if rest, ok := strings.CutPrefix(address, from); ok {
			return to + rest
		}
		return address
	}
}
