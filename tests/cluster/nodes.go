// nodes.go owns the simulated nodes and their deaths. A node is dead while it
// carries the annotation sim.cbctl.dev/dead: "true": it is then reported as
// unreachable, gets no more pods, and its pods are evicted at once, or after
// the time in sim.cbctl.dev/evict-after.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
)

const nodeCount = 3

func nodeName(number int) string { return fmt.Sprintf("node-%d", number) }

type deadness struct {
	since      *time.Time // nil: alive
	evictAfter time.Duration
}

type nodes struct {
	client  kubernetes.Interface
	changed func(node string) // the pods of the node must be looked at

	mu    sync.Mutex
	state map[string]deadness
}

func (n *nodes) dead(name string) deadness {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state[name]
}

func (n *nodes) handler(ctx context.Context) cache.ResourceEventHandler {
	follow := func(object any) {
		node := object.(*v1.Node)
		if n.remember(node) {
			n.changed(node.Name)
		}
		if err := n.report(ctx, node); err != nil && !errors.IsNotFound(err) {
			fmt.Fprintln(os.Stderr, node.Name+":", err)
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: follow, UpdateFunc: func(_, object any) { follow(object) }}
}

// remember tells whether the node has just died, revived or changed its delay.
func (n *nodes) remember(node *v1.Node) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	before, after := n.state[node.Name], deadness{}
	if isDead(node) {
		now := time.Now()
		after.since = &now
		if before.since != nil {
			after.since = before.since
		}
		if delay, err := time.ParseDuration(node.Annotations[prefix+"evict-after"]); err == nil {
			after.evictAfter = delay
		}
	}
	n.state[node.Name] = after
	return (before.since == nil) != (after.since == nil) || before.evictAfter != after.evictAfter
}

func isDead(node *v1.Node) bool { return node.Annotations[prefix+"dead"] == "true" }

// The effect is NoSchedule only. With NoExecute the eviction would be the
// graceful one of a controller, which waits for tolerations of five minutes.
var unreachable = v1.Taint{Key: v1.TaintNodeUnreachable, Effect: v1.TaintEffectNoSchedule}

// report brings the taint and the Ready condition in line with the annotation,
// and writes nothing when they are.
func (n *nodes) report(ctx context.Context, seen *v1.Node) error {
	dead := isDead(seen)
	tainted := func(node *v1.Node) bool {
		return slices.ContainsFunc(node.Spec.Taints, func(t v1.Taint) bool { return t.MatchTaint(&unreachable) })
	}
	if tainted(seen) != dead {
		err := n.change(ctx, seen.Name, func(node *v1.Node) error {
			node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t v1.Taint) bool { return t.MatchTaint(&unreachable) })
			if dead {
				node.Spec.Taints = append(node.Spec.Taints, unreachable)
			}
			_, err := n.client.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{})
			return err
		})
		if err != nil {
			return err
		}
	}
	wanted := readyCondition(dead)
	for _, c := range seen.Status.Conditions {
		if c.Type == v1.NodeReady && c.Status == wanted.Status {
			return nil
		}
	}
	if len(seen.Status.Conditions) == 0 {
		return nil // create has not reported yet
	}
	return n.change(ctx, seen.Name, func(node *v1.Node) error {
		node.Status.Conditions = []v1.NodeCondition{wanted}
		_, err := n.client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
		return err
	})
}

func readyCondition(dead bool) v1.NodeCondition {
	now := metav1.Now()
	c := v1.NodeCondition{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady",
		Message: "kubelet is simulated", LastTransitionTime: now, LastHeartbeatTime: now}
	if dead {
		c.Status, c.Reason, c.Message = v1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status."
	}
	return c
}

func (n *nodes) change(ctx context.Context, name string, do func(*v1.Node) error) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		node, err := n.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return do(node)
	})
}

// create registers a node with more room than any test needs.
func (n *nodes) create(ctx context.Context, name string, port int32) error {
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		v1.LabelHostname: name, v1.LabelOSStable: "linux", v1.LabelTopologyZone: "zone-" + name[len(name)-1:]}}}
	if _, err := n.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return err
	}
	err := n.change(ctx, name, func(node *v1.Node) error {
		node.Spec.Taints = nil // admission calls a new node not ready, and no controller here lifts it
		_, err := n.client.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	room := v1.ResourceList{v1.ResourcePods: resource.MustParse("10000"), v1.ResourceCPU: resource.MustParse("1000"),
		v1.ResourceMemory: resource.MustParse("10Ti")}
	return n.change(ctx, name, func(node *v1.Node) error {
		node.Status = v1.NodeStatus{Capacity: room, Allocatable: room,
			Conditions:      []v1.NodeCondition{readyCondition(false)},
			Addresses:       []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: "127.0.0.1"}, {Type: v1.NodeHostName, Address: name}},
			DaemonEndpoints: v1.NodeDaemonEndpoints{KubeletEndpoint: v1.DaemonEndpoint{Port: port}},
			NodeInfo:        v1.NodeSystemInfo{KubeletVersion: "simulated", OperatingSystem: "linux", Architecture: "amd64"}}
		_, err := n.client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
		return err
	})
}
