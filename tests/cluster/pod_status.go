// pod_status.go owns the words in which a kubelet reports a pod: phase,
// container states and conditions. It decides nothing.
package main

import (
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (k *kubelet) status(pod *v1.Pod, s *podState, waiting *v1.ContainerStateWaiting, ready bool, now time.Time) *v1.PodStatus {
	running := s.workload != nil
	status := pod.Status.DeepCopy()
	status.Phase = v1.PodPending
	if running || s.life.restarts > 0 {
		status.Phase = v1.PodRunning
	}
	bound := metav1.NewTime(s.bound)
	status.StartTime = &bound
	status.HostIP, status.HostIPs = "127.0.0.1", []v1.HostIP{{IP: "127.0.0.1"}}
	status.PodIP = k.hostAddress(s, 10)
	status.PodIPs = []v1.PodIP{{IP: status.PodIP}}

	old := map[string]v1.ContainerStatus{}
	for _, c := range status.ContainerStatuses {
		old[c.Name] = c
	}
	status.ContainerStatuses = nil
	for _, c := range pod.Spec.Containers {
		reported := v1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: "sim://" + c.Image, Ready: ready,
			RestartCount: s.life.restarts, Started: &running, AllocatedResources: old[c.Name].AllocatedResources}
		if s.life.restarts > 0 {
			reported.LastTerminationState.Terminated = &v1.ContainerStateTerminated{ExitCode: 1, Reason: "Error",
				StartedAt: metav1.NewTime(s.life.ran), FinishedAt: metav1.NewTime(s.life.exited)}
		}
		if running {
			reported.State.Running = &v1.ContainerStateRunning{StartedAt: metav1.NewTime(s.life.started)}
			reported.ContainerID = "sim://" + string(s.uid) + "-" + strconv.Itoa(int(s.life.restarts))
		} else {
			reported.State.Waiting = waiting
		}
		status.ContainerStatuses = append(status.ContainerStatuses, reported)
	}
	setCondition(status, v1.PodInitialized, v1.ConditionTrue, "", now)
	setCondition(status, v1.PodReadyToStartContainers, v1.ConditionTrue, "", now)
	value, reason := v1.ConditionTrue, ""
	if !ready {
		value, reason = v1.ConditionFalse, "ContainersNotReady"
	}
	setCondition(status, v1.ContainersReady, value, reason, now)
	setCondition(status, v1.PodReady, value, reason, now)
	return status
}

// unreachableStatus is what the control plane, not the kubelet, says about the
// pods of a node from which nobody hears.
func (k *kubelet) unreachableStatus(pod *v1.Pod, now time.Time) *v1.PodStatus {
	status := pod.Status.DeepCopy()
	setCondition(status, v1.PodReady, v1.ConditionFalse, "NodeNotReady", now)
	return status
}

func setCondition(status *v1.PodStatus, kind v1.PodConditionType, value v1.ConditionStatus, reason string, now time.Time) {
	for i := range status.Conditions {
		c := &status.Conditions[i]
		if c.Type != kind {
			continue
		}
		if c.Status != value {
			c.LastTransitionTime = metav1.NewTime(now)
		}
		c.Status, c.Reason = value, reason
		return
	}
	status.Conditions = append(status.Conditions,
		v1.PodCondition{Type: kind, Status: value, Reason: reason, LastTransitionTime: metav1.NewTime(now)})
}

// asOnTheWire drops what does not survive the wire, such as fractions of a
// second, before two reports are compared.
func asOnTheWire(status *v1.PodStatus) *v1.PodStatus {
	encoded, err := status.Marshal()
	decoded := &v1.PodStatus{}
	if err != nil || decoded.Unmarshal(encoded) != nil {
		return status
	}
	return decoded
}
