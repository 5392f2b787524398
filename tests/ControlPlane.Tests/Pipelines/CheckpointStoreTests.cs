using System.Collections.Immutable;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Clusters.Kubernetes;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Pods;
using DeepSeekOps.Recipes.Files;
using k8s.Models;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

/// <summary>What is said of stores before anything runs. Pure.</summary>
public sealed class CheckpointStoreTests
{
    [Theory]
    [InlineData("s3://training", "training", "")]
    [InlineData("S3://training/deep/runs/", "training", "deep/runs")]
    public void A_store_is_a_bucket_and_a_prefix(string written, string bucket, string prefix) =>
        Assert.Equal((bucket, prefix), CheckpointPlace.Parse(written) is var p ? (p.Bucket, p.Prefix) : default);

    [Theory]
    [InlineData("gs://b", "'gs://' is no kind of store that is known here.", "Write s3://BUCKET")]
    [InlineData("/mnt/shared", "'/mnt/shared' is no address of a store.", "A folder that all nodes see needs none")]
    [InlineData("s3://Training/x", "'Training' is no name of a bucket.", "3 to 63 of a-z")]
    [InlineData("s3://ab", "'ab' is no name of a bucket.", "3 to 63")]
    [InlineData("s3://bucket/../x", "'../x' is no prefix", "no '..'")]
    [InlineData("s3://bucket/a//b", "'a//b' is no prefix", "no empty part")]
    [InlineData("s3://id:secret-4711@bucket", "There is an '@' in the bucket's name.", "AWS_SECRET_ACCESS_KEY in the environment")]
    public void A_store_that_is_none_is_told_at_its_field_with_what_to_write(string store, string message, string fix)
    {
        var problem = Assert.Single(Parsed($"checkpoints: {{store: '{store}'}}").Errors);
        Assert.Equal("checkpoints.store", problem.Field);
        Assert.Contains(message, problem.Message, StringComparison.Ordinal);
        Assert.Contains(fix, problem.Fix, StringComparison.Ordinal);
        Assert.DoesNotContain("4711", problem.Message + problem.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_keys_are_told_at_submission_whoever_named_the_store()
    {
        var lack = new LocalChoice().WithoutStoreKeys(_ => null);
        var named = Assert.Single(Parsed("checkpoints: {store: s3://training/x}", new StoreTerms(StoreAccess.Default, lack)).Errors);
        Assert.Equal("checkpoints.store", named.Field);
        Assert.Equal("Checkpoints go to s3://training/x, and the workers would have no keys for it.", named.Message);
        Assert.Contains("Start dsops with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", named.Fix, StringComparison.Ordinal);
        var usual = StoreAccess.Default with { Uri = "s3://usual" };
        var settings = Assert.Single(Parsed("seed: 1", new StoreTerms(usual, lack)).Errors);
        Assert.StartsWith("By the cluster's settings checkpoints go to s3://usual", settings.Message, StringComparison.Ordinal);
        Assert.Empty(Parsed("checkpoints: {store: none}", new StoreTerms(usual, lack)).Errors);
        Assert.Null(new LocalChoice().WithoutStoreKeys(name => name.StartsWith("AWS_", StringComparison.Ordinal) ? "x" : null));
        Assert.Contains("kubernetes.checkpointSecret", new KubernetesChoice().WithoutStoreKeys(_ => "x")!.Value.Fix,
            StringComparison.Ordinal);
        Assert.Null(new KubernetesChoice { Pods = new PodSettings { CheckpointSecret = "keys" } }.WithoutStoreKeys(_ => null));
    }

    [Fact]
    public void The_settings_say_how_a_store_is_reached()
    {
        var parse = ClusterSettingsText.Parse("""
            apiVersion: deepseekops/v1
            checkpointStore: {uri: s3://training, endpoint: 'http://minio:9000', region: eu-1, pathStyle: true}
            """);
        Assert.Equal(new StoreAccess("s3://training", "http://minio:9000", "eu-1", true), parse.Settings!.CheckpointStore);
        var wrong = Assert.Single(ClusterSettingsText.Parse("""
            apiVersion: deepseekops/v1
            checkpointStore: {endpoint: 'http://id:secret@minio'}
            """).Problems);
        Assert.Equal("checkpointStore.endpoint", wrong.Field);
    }

    [Fact]
    public void Pods_that_train_get_the_keys_by_reference_and_only_where_a_secret_is_named()
    {
        var settings = new PodSettings { Image = "i", CheckpointSecret = "keys" };
        var grant = new GangGrant(new StageId("r", "pretrain"), 1, [new NodeId("node-0")], 1, default);
        var gang = GangObjects.Of(grant, settings, _ => "");
        V1EnvVar[] Keys(PodSettings of) => [.. Manifests.Pod(gang, gang.Pods[0], new V1OwnerReference(), of).Spec.Containers[0].Env
            .Where(e => e.Name.StartsWith("AWS_", StringComparison.Ordinal))];
        Assert.Equal(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"], Keys(settings).Select(e => e.Name));
        Assert.All(Keys(settings), e => Assert.Equal((null, "keys", e.Name),
            (e.Value, e.ValueFrom.SecretKeyRef.Name, e.ValueFrom.SecretKeyRef.Key)));
        Assert.Equal([null, null, true], Keys(settings).Select(e => e.ValueFrom.SecretKeyRef.Optional));
        Assert.Empty(Keys(settings with { CheckpointSecret = "" }));
    }

    [Fact]
    public void The_plan_of_a_stage_has_the_store_and_how_it_is_reached()
    {
        var spec = Parsed("checkpoints: {store: s3://training/own}").Spec!;
        var assignment = new Decisions.Stages.Assignment(
            new StageId("r", "pretrain"), 1, [], 1, spec, null, null, null);
        var root = new CheckpointRoot("/checkpoints") { Store = new StoreAccess("s3://usual", "http://minio:9000", "eu-1", true) };
        var told = assignment.ToProto(root).Plan.CheckpointStore;
        Assert.Equal(("s3://training/own", "http://minio:9000", "eu-1", true), (told.Uri, told.Endpoint, told.Region, told.PathStyle));
        var usual = assignment with { Pipeline = Parsed("seed: 1").Spec! };
        Assert.Equal("s3://usual", usual.ToProto(root).Plan.CheckpointStore.Uri);
        Assert.Null(usual.ToProto(new CheckpointRoot("/checkpoints")).Plan.CheckpointStore);
    }

    private static PipelineParse Parsed(string more, StoreTerms? stores = null) => PipelineText.Parse($$"""
        apiVersion: deepseekops/v1
        name: r
        model: {preset: mini}
        data: {source: builtin:arithmetic, tokenizer: byte}
        {{more}}
        stages:
        - {name: pretrain, kind: pretraining, tokens: 1Mi, sequenceLength: 128, batchSize: 4, learningRate: 1e-3}
        """, stores: stores);
}
