// kubelet.go owns the simulated kubelet's loop: it watches pods, nodes
// and scenarios, remembers what it knows of each pod, and looks again at a pod
// whenever something about it changes or its time has come. What a look does is
// in pod.go, how traffic is divided among pods in division_watch.go.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
)

// prefix is that of every annotation which steers the simulation.
const prefix = "sim.cbctl.dev/"

const workers = 16

type kubelet struct {
	client    kubernetes.Interface
	pods      corelisters.PodLister
	queue     workqueue.TypedRateLimitingInterface[string]
	nodes     *nodes
	scenarios *scenarios
	division  *division
	net       int

	mu    sync.Mutex
	state map[string]*podState // by namespace/name
	used  map[int]bool         // addresses
	last  int                  // the address given out last
}

func runKubelet(args []string) error {
	flags := flag.NewFlagSet("kubelet", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "the administrator's")
	socket := flags.String("egress-socket", "", "where the API server sends its connections to pods")
	pair := flags.String("tls", "", "FILE of FILE.crt and FILE.key for the endpoint that serves logs")
	net2 := flags.Int("net", 0, "pods report 10.NET.x.y and listen on 127.NET.x.y")
	if err := flags.Parse(args); err != nil {
		return err
	}
	configuration, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	configuration.QPS, configuration.Burst = 1000, 2000
	configuration.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(configuration)
	if err != nil {
		return err
	}
	k := &kubelet{client: client, net: *net2, state: map[string]*podState{}, used: map[int]bool{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())}
	if err := serveEgress(*socket, translatePodAddress(*net2)); err != nil {
		return err
	}
	port, err := k.serveLogs(*pair)
	if err != nil {
		return err
	}
	ctx := context.Background()
	k.nodes = &nodes{client: client, changed: k.enqueueNode, state: map[string]deadness{}}
	k.scenarios = newScenarios(client, func(namespace string) {
		k.division.divide(ctx, namespace) // first, so that a pod knows its part when it follows
		k.enqueueNamespace(namespace)
	})
	routes, err := dynamic.NewForConfig(configuration)
	if err != nil {
		return err
	}
	k.division = &division{client: routes, scenarios: k.scenarios, workloads: k.runningWorkloads}
	if err := k.watch(ctx, port); err != nil {
		return err
	}
	for range workers {
		go k.work(ctx)
	}
	select {}
}

// watch returns when every informer has seen the present state, so that no pod
// starts before its node and its scenario are known.
func (k *kubelet) watch(ctx context.Context, port int32) error {
	bound := factory(k.client, fields.OneTermNotEqualSelector("spec.nodeName", ""))
	all := factory(k.client, fields.Everything())
	named := factory(k.client, fields.OneTermEqualSelector("metadata.name", scenarioName))

	pods := bound.Core().V1().Pods()
	k.pods = pods.Lister()
	services := all.Core().V1().Services()
	k.division.pods, k.division.services = k.pods, services.Lister()
	add := func(object any) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
			k.queue.Add(key)
		}
	}
	handlers := []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}{
		{pods.Informer(), cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, o any) { add(o) }, DeleteFunc: add}},
		{pods.Informer(), k.division.handler(ctx)},
		{services.Informer(), k.division.handler(ctx)},
		{all.Core().V1().Nodes().Informer(), k.nodes.handler(ctx)},
		{named.Core().V1().ConfigMaps().Informer(), k.scenarios.handler(ctx)},
	}
	for _, h := range handlers {
		if _, err := h.informer.AddEventHandler(h.handler); err != nil {
			return err
		}
	}
	for _, f := range []informers.SharedInformerFactory{named, all, bound} {
		f.Start(ctx.Done())
		f.WaitForCacheSync(ctx.Done())
	}
	for number := range nodeCount { // last, as the existence of the last node means that all is ready
		if err := k.nodes.create(ctx, nodeName(number), port); err != nil {
			return fmt.Errorf("create %s: %w", nodeName(number), err)
		}
	}
	return nil
}

func factory(client kubernetes.Interface, selector fields.Selector) informers.SharedInformerFactory {
	return informers.NewSharedInformerFactoryWithOptions(client, 0,
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.FieldSelector = selector.String() }))
}

func (k *kubelet) work(ctx context.Context) {
	for {
		key, shutdown := k.queue.Get()
		if shutdown {
			return
		}
		again, err := k.look(ctx, key)
		switch {
		case err != nil && !errors.IsConflict(err) && !errors.IsNotFound(err):
			fmt.Fprintln(os.Stderr, key+":", err)
			k.queue.AddRateLimited(key)
		default: // a conflict or a disappearance comes back as an event
			k.queue.Forget(key)
			if again > 0 {
				k.queue.AddAfter(key, again)
			}
		}
		k.queue.Done(key)
	}
}

func (k *kubelet) enqueueNode(name string) {
	k.enqueue(func(p *v1.Pod) bool { return p.Spec.NodeName == name })
}

func (k *kubelet) enqueueNamespace(namespace string) {
	k.enqueue(func(p *v1.Pod) bool { return p.Namespace == namespace })
}

func (k *kubelet) enqueue(concerned func(*v1.Pod) bool) {
	pods, err := k.pods.List(labels.Everything())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	for _, p := range pods {
		if concerned(p) {
			k.queue.Add(p.Namespace + "/" + p.Name)
		}
	}
}

// Addresses end in x.y with x and y from 0 to 249 and 1 to 250; the rest of the
// /16 belongs to the claim in ports.go.
const addresses = 250 * 250

// remember returns what is known of a pod, afresh for a new pod of an old name,
// and forgets a pod that is gone (nil).
func (k *kubelet) remember(key string, p *v1.Pod) *podState {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.state[key]
	if s != nil && (p == nil || s.uid != p.UID) {
		s.workload.stop()
		delete(k.used, s.address)
		delete(k.state, key)
		s = nil
	}
	if s == nil && p != nil {
		for k.last = (k.last + 1) % addresses; k.used[k.last]; {
			k.last = (k.last + 1) % addresses
		}
		k.used[k.last] = true
		s = &podState{uid: p.UID, address: k.last, bound: time.Now(), life: life{mark: p.Annotations[prefix+"restart"]}}
		k.state[key] = s
	}
	return s
}

func (k *kubelet) hostAddress(s *podState, first int) string {
	return fmt.Sprintf("%d.%d.%d.%d", first, k.net, s.address/250, s.address%250+1)
}
