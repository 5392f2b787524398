using DeepSeekOps.ControlPlane.Clusters.Kubernetes;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Pods;
using DeepSeekOps.Decisions.Stages;
using k8s.Models;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>What pods that we make may do. Costs nothing.</summary>
public sealed class PodConfinementTests
{
    private static readonly PodSettings Settings = new() { Image = "i", Volumes = [new PodVolume("/shared", "c", "", false)] };

    [Fact]
    public void Pods_of_gangs_and_those_that_try_a_checkpoint_keep_to_the_restricted_profile()
    {
        Assert.Empty(Confinement.Breaches(Gang(Settings)));
        Assert.Empty(Confinement.Breaches(Try(Settings)));
        Assert.Equal(65_532, Gang(Settings).SecurityContext.FsGroup);
        Assert.Equal("OnRootMismatch", Gang(Settings).SecurityContext.FsGroupChangePolicy);
    }

    [Fact]
    public void Another_user_is_named_in_the_settings_and_root_is_one_of_them()
    {
        var named = ClusterSettingsText.Parse("""
            apiVersion: deepseekops/v1
            kubernetes: {image: i, controlUrl: "https://a:5082", user: 1000, checkpoints: /c, volumes: [{path: /c, claim: c}]}
            """).Settings!.Pods!;
        Assert.Equal(1000, Gang(named).SecurityContext.RunAsUser);
        Assert.Equal(1000, Try(named).SecurityContext.RunAsGroup);
        Assert.Equal(["it may run as root"], Confinement.Breaches(Gang(Settings with { User = 0 })));
    }

    [Fact]
    public void A_folder_of_the_settings_at_tmp_is_the_one_that_is_there()
    {
        var pod = Gang(Settings with { Volumes = [.. Settings.Volumes, new PodVolume("/tmp", "", "/scratch", false)] });
        Assert.Single(pod.Containers[0].VolumeMounts, m => m.MountPath == "/tmp");
        Assert.Equal(pod.Volumes.Select(v => v.Name).Distinct(), pod.Volumes.Select(v => v.Name));
        Assert.All(pod.Containers[0].VolumeMounts, m => Assert.Contains(pod.Volumes, v => v.Name == m.Name));
    }

    private static V1PodSpec Gang(PodSettings settings)
    {
        var grant = new GangGrant(new StageId("r", "pretrain"), 1, [new NodeId("node-0")], 1, default);
        var gang = GangObjects.Of(grant, settings, _ => "");
        return Manifests.Pod(gang, gang.Pods[0], new V1OwnerReference(), settings).Spec;
    }

    private static V1PodSpec Try(PodSettings settings) => Manifests.Generating("try", settings).Spec;
}
