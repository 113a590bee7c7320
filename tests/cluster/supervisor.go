// supervisor.go owns the life of a cluster: it starts the members in the order
// in which they need each other, says when all of them answer, and ends them
// all when one ends or when it is told to.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// withoutNodeLifecycle leaves out the controller that would call every node
// unreachable after 40 s, as the simulated kubelet renews no lease.
const withoutNodeLifecycle = "*,-node-lifecycle-controller"

func runSupervisor(args []string) error {
	// Members are killed by the kernel when the thread that started them ends.
	runtime.LockOSThread()
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	o := &options{}
	o.register(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	m := &members{options: o, ended: make(chan error, 16)}
	err := supervise(o, m, stop)
	os.Remove(o.path(readyFile))
	m.kill()
	if errors.Is(err, errStopped) {
		os.Remove(o.path(supervisor + ".pid"))
		os.RemoveAll(o.path("etcd")) // nobody reads the data again; the logs stay
		os.RemoveAll(o.path(prometheusData))
		return nil
	}
	os.WriteFile(o.path(failureFile), []byte(err.Error()+"\n"), 0o600)
	return err
}

var errStopped = errors.New("stopped")

// supervise returns when the cluster must end, with the reason.
func supervise(o *options, m *members, stop <-chan os.Signal) error {
	r := &ready{PID: os.Getpid()}
	net2, claim, err := claimNet(o.net)
	if err != nil {
		return err
	}
	defer claim.Close()
	r.Net = net2
	if r.Port, err = takePort("--port", o.port); err != nil {
		return err
	}
	if r.PrometheusPort, err = takePort("--prometheus-port", o.prometheusPort); err != nil {
		return err
	}
	if err := writeIdentities(o, r.Port); err != nil {
		return err
	}
	definitions, err := readDefinitions(o.definitions)
	if err != nil {
		return err
	}
	client, err := newProbe(o)
	if err != nil {
		return err
	}
	if err := startStore(o, m, r); err != nil {
		return err
	}
	if err := client.await(apiURL(r.Port)+"/readyz", m.ended, stop); err != nil {
		return err
	}
	if err := startRest(o, m, r); err != nil {
		return err
	}
	awaited := []string{
		apiURL(r.Port) + "/api/v1/namespaces/default/serviceaccounts/default", // nothing can be created before
		apiURL(r.Port) + "/api/v1/nodes/" + nodeName(nodeCount-1),
		prometheusURL(r.PrometheusPort) + "/-/ready",
	}
	for _, d := range definitions {
		if err := d.install(client, apiURL(r.Port)); err != nil {
			return err
		}
		for _, path := range d.paths {
			awaited = append(awaited, apiURL(r.Port)+path)
		}
	}
	for _, url := range awaited {
		if err := client.await(url, m.ended, stop); err != nil {
			return err
		}
	}
	if err := o.writeReady(r); err != nil {
		return err
	}
	fmt.Println("ready")
	select {
	case err := <-m.ended:
		m.ended <- err // kill counts every end
		return err
	case <-stop:
		return errStopped
	}
}

// startStore starts etcd and the API server.
func startStore(o *options, m *members, r *ready) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	etcdPort, err := takePort("etcd", 0)
	if err != nil {
		return err
	}
	etcd := fmt.Sprintf("http://127.0.0.1:%d", etcdPort)
	if err := writeEgress(o.path(egressFile)); err != nil {
		return err
	}
	if err := m.start("etcd", self, "etcd", "--data-dir="+o.path("etcd"), "--listen="+etcd); err != nil {
		return err
	}
	return m.start("apiserver", self, "apiserver", "--etcd-servers="+etcd, fmt.Sprintf("--secure-port=%d", r.Port),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--tls-cert-file=pki/apiserver.crt", "--tls-private-key-file=pki/apiserver.key",
		"--client-ca-file=pki/ca.crt", "--cert-dir=pki", "--authorization-mode=RBAC",
		"--service-cluster-ip-range=10.0.0.0/16", "--allow-privileged", "--profiling=false",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=pki/sa.crt",
		"--service-account-signing-key-file=pki/sa.key", "--egress-selector-config-file="+egressFile,
		"--kubelet-preferred-address-types=InternalIP", "--kubelet-client-certificate=pki/admin.crt",
		"--kubelet-client-key=pki/admin.key")
}

// startRest starts what needs an API server.
func startRest(o *options, m *members, r *ready) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	common := []string{"--kubeconfig=" + o.path("kubeconfig"), "--leader-elect=false", "--secure-port=0",
		"--kube-api-qps=500", "--kube-api-burst=1000", "--profiling=false"}
	err = m.start("controller-manager", self, append([]string{"controller-manager", "--controllers=" + withoutNodeLifecycle,
		"--service-account-private-key-file=pki/sa.key", "--root-ca-file=pki/ca.crt",
		"--concurrent-deployment-syncs=20", "--concurrent-replicaset-syncs=20"}, common...)...)
	if err != nil {
		return err
	}
	if err := m.start("scheduler", self, append([]string{"scheduler"}, common...)...); err != nil {
		return err
	}
	err = m.start("kubelet", self, "kubelet", "--kubeconfig="+o.path("kubeconfig"), "--egress-socket="+egressSocket,
		"--tls=pki/apiserver", fmt.Sprintf("--net=%d", r.Net))
	if err != nil {
		return err
	}
	return startPrometheus(o, m, r.PrometheusPort)
}
