// division_watch.go owns when traffic is divided anew: whenever a pod, a
// Service or an HTTPRoute changes in a namespace whose scenario divides it. It
// only listens, so that a cluster without such a scenario pays nothing.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

var httpRoutes = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}

type division struct {
	client    dynamic.Interface
	pods      corelisters.PodLister
	services  corelisters.ServiceLister
	scenarios *scenarios
	workloads func(namespace string) map[string]*workload

	mu     sync.Mutex // held during a division, so that the last one sees the last state
	routes cache.GenericLister
}

// handler divides anew where the object is.
func (d *division) handler(ctx context.Context) cache.ResourceEventHandler {
	follow := func(object any) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
			namespace, _, _ := cache.SplitMetaNamespaceKey(key)
			d.divide(ctx, namespace)
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: follow, UpdateFunc: func(_, object any) { follow(object) }, DeleteFunc: follow}
}

// divide tells every running pod of the namespace its part, all at one time, so
// that none is counted twice or not at all.
func (d *division) divide(ctx context.Context, namespace string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	from := d.scenarios.of(namespace).source()
	if from == nil {
		return
	}
	backends := []backend{{service: from.Service, weight: 1}}
	if from.HTTPRoute != "" {
		backends = d.route(ctx, namespace, from.HTTPRoute).backends(namespace)
	}
	pods, _ := d.pods.Pods(namespace).List(labels.Everything()) // a lister's only error is "not found"
	parts := divide(*from.RPS, backends, func(name string) []string {
		service, err := d.services.Services(namespace).Get(name)
		if err != nil {
			return nil
		}
		return reachable(service, pods)
	})
	now := time.Now()
	for pod, w := range d.workloads(namespace) {
		w.receive(parts[pod], now)
	}
}

// route returns nil where there is none.
func (d *division) route(ctx context.Context, namespace, name string) *httpRoute {
	if d.routes == nil {
		d.watchRoutes(ctx)
	}
	object, err := d.routes.ByNamespace(namespace).Get(name)
	if err != nil {
		return nil
	}
	r := &httpRoute{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.(*unstructured.Unstructured).Object, r); err != nil {
		fmt.Fprintf(os.Stderr, "httproute %s/%s: %v\n", namespace, name, err)
		return nil
	}
	return r
}

// watchRoutes waits a moment for the first answer. It is not called before a
// scenario asks for it, as the kubelet starts before HTTPRoutes are served.
func (d *division) watchRoutes(ctx context.Context) {
	all := dynamicinformer.NewDynamicSharedInformerFactory(d.client, 0)
	informer := all.ForResource(httpRoutes)
	d.routes = informer.Lister()
	if _, err := informer.Informer().AddEventHandler(d.handler(ctx)); err != nil {
		fmt.Fprintln(os.Stderr, "httproutes:", err)
	}
	all.Start(ctx.Done())
	soon, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cache.WaitForCacheSync(soon.Done(), informer.Informer().HasSynced)
}

// runningWorkloads are those of a namespace, by the pod's name.
func (k *kubelet) runningWorkloads(namespace string) map[string]*workload {
	k.mu.Lock()
	defer k.mu.Unlock()
	running := map[string]*workload{}
	for key, s := range k.state {
		if in, name, _ := cache.SplitMetaNamespaceKey(key); in == namespace && s.workload != nil {
			running[name] = s.workload
		}
	}
	return running
}
