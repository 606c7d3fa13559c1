package deploy

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	security "k8s.io/pod-security-admission/api"
	restricted "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const deployed = "../../../deploy"

// objects are those that kustomize makes of a folder, decoded by the types of
// their APIs: an unknown or misplaced field is an error.
func objects(t *testing.T, folder string) []runtime.Object {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	var all []runtime.Object
	for _, resource := range made.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, decode(t, text))
	}
	return all
}

func decode(t *testing.T, text []byte) runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{apps.AddToScheme, batch.AddToScheme, core.AddToScheme,
		networking.AddToScheme, policy.AddToScheme, monitoring.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	object, _, err := codecs.UniversalDeserializer().Decode(text, nil, nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return object
}

// folders are those of deploy/kubernetes that kustomize builds.
func folders(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(deployed, "kubernetes", "*", "kustomization.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no kustomization found: %v", err)
	}
	var all []string
	for _, file := range files {
		all = append(all, filepath.Dir(file))
	}
	return all
}

// pods are the templates of pods in objects.
func pods(all []runtime.Object) []core.PodTemplateSpec {
	var found []core.PodTemplateSpec
	for _, object := range all {
		switch object := object.(type) {
		case *apps.StatefulSet:
			found = append(found, object.Spec.Template)
		case *batch.Job:
			found = append(found, object.Spec.Template)
		case *batch.CronJob:
			found = append(found, object.Spec.JobTemplate.Spec.Template)
		}
	}
	return found
}

func TestPodsKeepToTheRestrictedPodSecurityStandard(t *testing.T) {
	evaluator, err := restricted.NewEvaluator(restricted.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders(t) {
		for _, pod := range pods(objects(t, folder)) {
			level := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
			result := restricted.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
			if !result.Allowed {
				t.Errorf("%s: %s", folder, result.ForbiddenDetail())
			}
			if mounts := pod.Spec.AutomountServiceAccountToken; mounts == nil || *mounts {
				t.Errorf("%s: a token of Kubernetes's API is mounted", folder)
			}
			for _, container := range pod.Spec.Containers {
				if read := container.SecurityContext.ReadOnlyRootFilesystem; read == nil || !*read {
					t.Errorf("%s: the root file system of %s can be written", folder, container.Name)
				}
				if container.Resources.Requests.Cpu().IsZero() || container.Resources.Limits.Memory().IsZero() {
					t.Errorf("%s: %s requests no CPU or has no limit of memory", folder, container.Name)
				}
			}
		}
	}
}

// TestObjectsFindEachOther looks for what a selector, a port or a volume names.
func TestObjectsFindEachOther(t *testing.T) {
	bucket := objects(t, filepath.Join(deployed, "kubernetes", "bucket"))
	for _, folder := range folders(t) {
		all := objects(t, folder)
		found := func(what string, selector *meta.LabelSelector, ports ...string) {
			t.Helper()
			if !podMatches(t, all, selector, ports) {
				t.Errorf("%s: %s selects no pod, or one without a port of %v", folder, what, ports)
			}
		}
		for _, object := range all {
			switch object := object.(type) {
			case *core.Service:
				for _, port := range object.Spec.Ports {
					found("service "+object.Name, &meta.LabelSelector{MatchLabels: object.Spec.Selector}, port.TargetPort.StrVal)
				}
			case *policy.PodDisruptionBudget:
				found("disruption budget "+object.Name, object.Spec.Selector)
			case *networking.NetworkPolicy:
				for _, rule := range object.Spec.Ingress {
					for _, port := range rule.Ports {
						found("network policy "+object.Name, &object.Spec.PodSelector, port.Port.StrVal)
					}
				}
			case *monitoring.PodMonitor:
				for _, endpoint := range object.Spec.PodMetricsEndpoints {
					found("pod monitor "+object.Name, &object.Spec.Selector, *endpoint.Port)
				}
			case *monitoring.ServiceMonitor:
				checkServiceMonitor(t, folder, object, all)
			}
		}
		for _, pod := range pods(all) {
			for _, volume := range pod.Spec.Volumes {
				if volume.Secret != nil && !hasSecret(bucket, volume.Secret.SecretName) {
					t.Errorf("%s: there is no secret %s", folder, volume.Secret.SecretName)
				}
			}
			if !slices.ContainsFunc(bucket, func(object runtime.Object) bool {
				account, ok := object.(*core.ServiceAccount)
				return ok && account.Name == pod.Spec.ServiceAccountName
			}) {
				t.Errorf("%s: there is no service account %q", folder, pod.Spec.ServiceAccountName)
			}
		}
	}
}

// podMatches tells whether a selector selects a pod with all ports. The pods of
// Prometheus Operator have the labels and ports that it documents.
func podMatches(t *testing.T, all []runtime.Object, by *meta.LabelSelector, ports []string) bool {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(by)
	if err != nil || selector.Empty() {
		t.Fatalf("%v selects all pods, or %v", by, err)
	}
	templates := pods(all)
	for _, object := range all {
		if prometheus, ok := object.(*monitoring.Prometheus); ok && prometheus.Spec.Thanos != nil {
			templates = append(templates, core.PodTemplateSpec{
				ObjectMeta: meta.ObjectMeta{Labels: map[string]string{
					"app.kubernetes.io/name": "prometheus", "operator.prometheus.io/name": prometheus.Name}},
				Spec: core.PodSpec{Containers: []core.Container{{Ports: []core.ContainerPort{{Name: "http"}, {Name: "grpc"}}}}},
			})
		}
	}
	for _, pod := range templates {
		if !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		named := map[string]bool{}
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				named[port.Name] = true
			}
		}
		if !slices.ContainsFunc(ports, func(port string) bool { return !named[port] }) {
			return true
		}
	}
	return false
}

// checkServiceMonitor wants exactly one service, with the port: two monitors
// of one service would scrape each pod twice.
func checkServiceMonitor(t *testing.T, folder string, monitor *monitoring.ServiceMonitor, all []runtime.Object) {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(&monitor.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	var selected []string
	for _, object := range all {
		service, ok := object.(*core.Service)
		if !ok || !selector.Matches(labels.Set(service.Labels)) {
			continue
		}
		selected = append(selected, service.Name)
		for _, endpoint := range monitor.Spec.Endpoints {
			if !slices.ContainsFunc(service.Spec.Ports, func(port core.ServicePort) bool { return port.Name == endpoint.Port }) {
				t.Errorf("%s: service %s has no port %s", folder, service.Name, endpoint.Port)
			}
		}
	}
	if len(selected) != 1 || selected[0] != monitor.Name {
		t.Errorf("%s: monitor %s selects the services %v", folder, monitor.Name, selected)
	}
}

func hasSecret(all []runtime.Object, name string) bool {
	return slices.ContainsFunc(all, func(object runtime.Object) bool {
		secret, ok := object.(*core.Secret)
		return ok && secret.Name == name && secret.StringData["bucket.yaml"] != ""
	})
}

// TestShardsAreAsManyAsPods compares the numbers that must be equal.
func TestShardsAreAsManyAsPods(t *testing.T) {
	for _, object := range objects(t, filepath.Join(deployed, "kubernetes", "compact-backlog")) {
		if job, ok := object.(*batch.Job); ok {
			want := fmt.Sprintf("--shard=%d", *job.Spec.Completions)
			if *job.Spec.Parallelism != *job.Spec.Completions || *job.Spec.CompletionMode != batch.IndexedCompletion ||
				!slices.Contains(job.Spec.Template.Spec.Containers[0].Args, want) {
				t.Errorf("the job is not indexed, not all at once, or lacks %s", want)
			}
		}
	}
	for _, object := range objects(t, filepath.Join(deployed, "kubernetes", "store-hashmod")) {
		if set, ok := object.(*apps.StatefulSet); ok {
			rules := set.Spec.Template.Spec.Containers[0].Args
			want := fmt.Sprintf("modulus: %d}", *set.Spec.Replicas)
			if !strings.Contains(rules[len(rules)-1], want) {
				t.Errorf("%d pods, and the rules are %s", *set.Spec.Replicas, rules[len(rules)-1])
			}
		}
	}
}
