using DeepSeekOps.Decisions.Doctor;
using DeepSeekOps.Decisions.Pods;
using k8s;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>`--cluster kubernetes`: pods on the nodes of a Kubernetes cluster.</summary>
public sealed record KubernetesChoice : ClusterChoice
{
    /// <summary>How pods are made and nodes are read: the part `kubernetes:` of the cluster settings.</summary>
    public PodSettings Pods { get; init; } = new();

    /// <summary>File with address and credentials. Default: those of the pod we run in, or of the usual kubeconfig.</summary>
    public string? Kubeconfig { get; init; }

    private Func<KubernetesClientConfiguration>? Connection =>
        Kubeconfig is { } file ? () => KubernetesClientConfiguration.BuildConfigFromConfigFile(file) : null;

    public override string Checkpoints => Pods.Checkpoints;

    public override string Greeting => $"kubernetes: namespace {Pods.Namespace}, image {Pods.Image}";

    public override bool DeclaresPipelines => true;

    public override ClusterChoice? With(PodSettings? written) => written is null ? null : this with { Pods = written };

    internal override (string What, string Fix)? WithoutStoreKeys(Func<string, string?> environment) =>
        Pods.CheckpointSecret.Length > 0 ? null : ("the pods would get no keys for it: kubernetes.checkpointSecret is not set.",
            $"Make a secret with {StoreKeys.IdVariable} and {StoreKeys.SecretVariable} in namespace {Pods.Namespace}, and name it under "
                + "kubernetes.checkpointSecret in the cluster's settings.");

    internal override async Task<ClusterExamined> Examine(ClusterAsked asked, CancellationToken cancellation)
    {
        var facts = await ClusterLook.Run(Connection ?? KubernetesClientConfiguration.BuildDefaultConfig, Pods, asked.Clock, cancellation);
        return new ClusterExamined(
        [
            .. ClusterCheck.Of(facts, Pods, PipelineObject.Version),
            Finding.NotKnown("worker.image", $"worker, libtorch, GPUs and NCCL are those of the image {Pods.Image}",
                "Run `dsops doctor --cluster local` in a pod of it, on a node with GPUs."),
        ])
        {
            CopiesCheckpoints = true, StoreKeysIn = $"secret {Pods.CheckpointSecret}",
            StoreNotTried = $"its keys are in secret {Pods.CheckpointSecret}, which dsops has no right to read",
        };
    }

    public override void AddTo(IServiceCollection services, ClusterHouse house)
    {
        services.Configure<KubernetesClusterOptions>(options =>
        {
            (options.Pods, options.DataDirectory, options.TokenOf, options.Pin) = (Pods, house.DataDirectory, house.TokenOf, house.Pin);
            options.Connection = Connection ?? options.Connection;
        });
        services.AddSingleton<KubernetesCluster>();
        services.AddSingleton<TrainingPipelines>();
        services.AddSingleton<ITrainingCluster>(provider => provider.GetRequiredService<KubernetesCluster>());
    }
}
