using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters;

public sealed class PodFoldersTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 8, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Week = TimeSpan.FromDays(7);

    private static KeyValuePair<string, LocalPod> Pod(int gang, double? deletedDaysAgo, string stage = "pretrain") =>
        new($"/nodes/node-0/pods/mini.{stage}.{gang}",
        new LocalPod
        {
            Run = "mini", Stage = stage, Gang = gang, Node = "node-0", CreatedAt = Now - TimeSpan.FromDays(30),
            DeletedAt = deletedDaysAgo is { } days ? Now - TimeSpan.FromDays(days) : null,
        });

    [Fact]
    public void Folders_of_ended_pods_go_after_their_time_and_those_of_living_ones_never()
    {
        var pods = new Dictionary<string, LocalPod>([Pod(1, null), Pod(2, 6.9), Pod(3, 7.1)]);
        Assert.Equal([Pod(3, 7.1).Key], PodFolders.Over(pods, Week, Now));
    }

    [Fact]
    public void Of_one_stage_only_the_newest_stay_however_new_the_others_are()
    {
        var pods = new Dictionary<string, LocalPod>(
            [.. Enumerable.Range(1, 76).Select(gang => Pod(gang, 0)), Pod(77, null),
                .. Enumerable.Range(1, 3).Select(gang => Pod(gang, 0, "sft"))]);
        string[] over = [.. PodFolders.Over(pods, Week, Now)];
        Assert.Equal(76 - PodFolders.KeptOfStage, over.Length);
        Assert.DoesNotContain(over, f => f.Contains("sft", StringComparison.Ordinal) || pods[f].Gang > 76 - PodFolders.KeptOfStage);
    }
}
