// main.go owns the command line of testcluster: a Kubernetes control plane in
// one program, for integration tests. etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler are the upstream ones, each in a
// process of its own; the kubelet and the workload are simulated (kubelet.go,
// workload.go).
//
//	testcluster start ...   start a cluster in the background, or find the running one
//	testcluster run ...     the supervisor that start puts into the background
//	testcluster definitions FILE...   print the custom resource definitions that a cluster has
//
// The other commands are the members that the supervisor starts.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: testcluster start|run|definitions|etcd|apiserver|controller-manager|scheduler|kubelet ...")
		os.Exit(2)
	}
	name, args := os.Args[1], os.Args[2:]
	os.Args = append([]string{name}, args...) // the upstream commands read os.Args themselves
	if command := upstream(name); command != nil {
		os.Exit(cli.Run(command))
	}
	if err := own(name, args); err != nil {
		fmt.Fprintln(os.Stderr, "testcluster:", err)
		os.Exit(1)
	}
}

func upstream(name string) *cobra.Command {
	switch name {
	case "apiserver":
		return apiserver.NewAPIServerCommand()
	case "controller-manager":
		return manager.NewControllerManagerCommand()
	case "scheduler":
		return scheduler.NewSchedulerCommand()
	}
	return nil
}

func own(name string, args []string) error {
	switch name {
	case "start":
		return runStart(args)
	case "run":
		return runSupervisor(args)
	case "definitions":
		return runDefinitions(args)
	case "etcd":
		return runEtcd(args)
	case "kubelet":
		return runKubelet(args)
	}
	return fmt.Errorf("unknown command %q", name)
}
