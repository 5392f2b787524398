using System.Globalization;
using System.Text;
using System.Text.Json;
using DeepSeekOps.Decisions.Serving;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>
/// A unit as Kubernetes objects: the placement as a ConfigMap, a headless Service, and a StatefulSet with one pod per node. The engine
/// is the image's; it finds its layout in the environment and its placement in a file.
/// </summary>
internal static class ServingManifests
{
    public static string Of(ServingDeployment deployment, string image) => Placement(deployment) + Workload(deployment, image);

    private static string NameOf(ServingDeployment deployment) => $"deepseek-{deployment.Unit.Name}";

    private static string Placement(ServingDeployment deployment)
    {
        var (unit, name, yaml) = (deployment.Unit, NameOf(deployment), new StringBuilder());
        yaml.Append(In($$"""
            # {{unit.Layout}}; {{unit.Source}}
            # busiest GPU over the mean, worst layer: {{deployment.Before:0.000}} in order, {{deployment.After:0.000}} as placed
            apiVersion: v1
            kind: ConfigMap
            metadata:
              name: {{name}}-placement
              labels: {app.kubernetes.io/name: {{name}}, app.kubernetes.io/part-of: deepseekops-serving}
            data:
              placement.json: |
                {"slotsPerGpu": {{deployment.SlotsPerGpu}}, "slotExperts": [

            """));
        for (int layer = 0; layer < deployment.SlotExperts.Length; layer++)
        {
            yaml.Append("    ").Append(JsonSerializer.Serialize(deployment.SlotExperts[layer]))
                .Append(layer + 1 < deployment.SlotExperts.Length ? ",\n" : "]}\n");
        }

        return yaml.ToString();
    }

    private static string Workload(ServingDeployment deployment, string image)
    {
        var (unit, name) = (deployment.Unit, NameOf(deployment));
        string selector = $"{{app.kubernetes.io/name: {name}}}";
        return In($$"""
            ---
            apiVersion: v1
            kind: Service
            metadata:
              name: {{name}}
            spec:
              clusterIP: None
              selector: {{selector}}
              ports: [{name: http, port: 8000}]
            ---
            apiVersion: apps/v1
            kind: StatefulSet
            metadata:
              name: {{name}}
            spec:
              serviceName: {{name}}
              replicas: {{unit.Nodes}}
              podManagementPolicy: Parallel
              selector:
                matchLabels: {{selector}}
              template:
                metadata:
                  labels: {app.kubernetes.io/name: {{name}}, app.kubernetes.io/part-of: deepseekops-serving}
                spec:
                  securityContext: {seccompProfile: {type: RuntimeDefault} }
                  containers:
                    - name: engine
                      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]} }
                      image: {{JsonSerializer.Serialize(image)}}
                      ports: [{name: http, containerPort: 8000}]
                      env:
                        - {name: SERVING_UNIT, value: "{{unit.Name}}"}
                        - {name: SERVING_NODES, value: "{{unit.Nodes}}"}
                        - {name: SERVING_GPUS, value: "{{unit.Gpus}}"}
                        - {name: TENSOR_PARALLEL, value: "{{unit.Tensor}}"}
                        - {name: SEQUENCE_PARALLEL, value: "{{(unit.Tensor > 1 ? 1 : 0)}}"}
                        - {name: DATA_PARALLEL, value: "{{unit.Data}}"}
                        - {name: EXPERT_PARALLEL, value: "{{unit.Gpus}}"}
                        - {name: EXPERT_SLOTS_PER_GPU, value: "{{deployment.SlotsPerGpu}}"}
                        - {name: EXPERT_PLACEMENT, value: /etc/serving/placement.json}
                        - {name: RENDEZVOUS, value: "{{name}}-0.{{name}}"}
                        - name: NODE_RANK
                          valueFrom:
                            fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}
                      resources:
                        limits: {nvidia.com/gpu: 8}
                      volumeMounts:
                        - {name: placement, mountPath: /etc/serving, readOnly: true}
                        - {name: shm, mountPath: /dev/shm}
                  volumes:
                    - name: placement
                      configMap: {name: "{{name}}-placement"}
                    - name: shm
                      emptyDir: {medium: Memory}

            """);
    }

    private static string In(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
