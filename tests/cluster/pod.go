// pod.go owns one look at one pod: what it should be doing now, whether its
// workload does it, and what to report. The report's form is in pod_status.go.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// podState is what the kubelet remembers of a pod between two looks. Only the
// worker that looks at the pod changes it.
type podState struct {
	uid      types.UID
	address  int
	bound    time.Time
	life     life
	workload *workload // nil: not running
	problem  string    // what was last said about its annotations
}

// look brings a pod up to now and returns when to look again.
func (k *kubelet) look(ctx context.Context, key string) (time.Duration, error) {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return 0, err
	}
	pod, err := k.pods.Pods(namespace).Get(name)
	if err != nil {
		pod = nil // the lister's only error is that it is gone
	}
	s := k.remember(key, pod)
	if s == nil || pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed {
		return 0, nil
	}
	now := time.Now()
	w, problem := readWishes(pod.Annotations)
	if text := fmt.Sprint(problem); problem != nil && text != s.problem {
		s.problem = text
		fmt.Fprintln(os.Stderr, key+":", text)
	}
	if dead := k.nodes.dead(pod.Spec.NodeName); dead.since != nil {
		k.stop(s)
		if left := dead.evictAfter - now.Sub(*dead.since); left > 0 {
			return left, k.report(ctx, pod, k.unreachableStatus(pod, now))
		}
		return 0, k.remove(ctx, pod)
	}
	if pod.DeletionTimestamp != nil {
		grace := time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
		asked := pod.DeletionTimestamp.Add(-grace)
		if left := asked.Add(min(grace, w.stopAfter)).Sub(now); left > 0 {
			s.workload.follow(k.scenarios.of(namespace), now)
			return left, nil
		}
		k.stop(s)
		return 0, k.remove(ctx, pod)
	}
	waiting, again := s.life.advance(now, w)
	if s.workload != nil && (!s.life.running() || s.workload.restarts != s.life.restarts) {
		k.stop(s)
	}
	if s.life.running() && s.workload == nil {
		if waiting = k.startWorkload(ctx, pod, s); waiting != nil {
			s.life.started, again = time.Time{}, time.Second
		}
	}
	ready := s.workload != nil && !w.notReady
	s.workload.follow(k.scenarios.of(namespace), time.Now())
	if s.workload != nil {
		ready = ready && s.workload.passesProbe()
		if left := w.readyAfter - now.Sub(s.life.started); left > 0 {
			ready = false
			if again == 0 || left < again {
				again = left
			}
		}
	}
	return again, k.report(ctx, pod, k.status(pod, s, waiting, ready, now))
}

// startWorkload returns why the container cannot start, in a kubelet's words.
func (k *kubelet) startWorkload(ctx context.Context, pod *v1.Pod, s *podState) *v1.ContainerStateWaiting {
	container := mainContainer(pod)
	environment, err := resolveEnvironment(container, pod, k.objects(ctx, pod.Namespace))
	if err != nil {
		return &v1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: err.Error()}
	}
	started, err := startWorkload(pod, container, environment, s.life, k.hostAddress(s, 127), k.scenarios.of(pod.Namespace))
	if err != nil {
		return &v1.ContainerStateWaiting{Reason: "RunContainerError", Message: err.Error()}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s.workload = started
	return nil
}

func (k *kubelet) stop(s *podState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s.workload.stop()
	s.workload = nil
}

func (k *kubelet) report(ctx context.Context, pod *v1.Pod, status *v1.PodStatus) error {
	if equality.Semantic.DeepEqual(asOnTheWire(status), asOnTheWire(&pod.Status)) {
		return nil
	}
	changed := pod.DeepCopy()
	changed.Status = *status
	_, err := k.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	return err
}

func (k *kubelet) remove(ctx context.Context, pod *v1.Pod) error {
	none := int64(0)
	return k.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name,
		metav1.DeleteOptions{GracePeriodSeconds: &none, Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
}

// mainContainer is the one with the workload's port, or else the first.
func mainContainer(pod *v1.Pod) *v1.Container {
	for i := range pod.Spec.Containers {
		for _, port := range pod.Spec.Containers[i].Ports {
			if port.ContainerPort == workloadPort {
				return &pod.Spec.Containers[i]
			}
		}
	}
	return &pod.Spec.Containers[0]
}
