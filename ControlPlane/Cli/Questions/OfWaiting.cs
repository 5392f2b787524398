using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Verbs;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>Gangs that wait for GPUs.</summary>
internal static class OfWaiting
{
    public static readonly ImmutableArray<Question> All =
    [
        new("why-waits", "Why does it wait?", About.OneRun, Need.Run, Need.None,
        [
            "why is it waiting", "why is it queued", "why is it pending", "why does it not start", "why does it not run",
            "why is it not running", "what is it waiting for", "why is it stuck in the queue", "what blocks it",
            "what keeps it from starting",
        ], Why),
        new("when-starts", "When does it start?", About.OneRun, Need.Run, Need.None,
        [
            "when will it start", "when does it begin", "how long until it starts", "start time", "when is it its turn",
            "how long will it wait", "when does it get its nodes", "when will my job get going",
        ], When),
        new("who-holds", "Who holds the GPUs that it waits for?", About.OneRun, Need.Run | Need.Cluster, Need.None,
        [
            "who holds the gpus", "who uses the gpus", "who is using all the nodes", "who has the nodes", "who is using the cluster",
            "who occupies the gpus", "which run holds the nodes", "who is ahead in the queue", "who is in front of it",
            "who has all the gpus right now",
        ], Holders),
    ];

    private static Answer Why(Facts facts)
    {
        var run = facts.Run!;
        if (!Waits(facts, out var stage))
        {
            string hold = run.Hold is { } held ? $"; {held.Words}" : "";
            return Answer.Of($"{run.Name} does not wait for nodes: it is {Places.Standing(run.State, run.Reason)}{hold}")
                .See(Places.RunPage(run.Name), $"dsops show {run.Name}");
        }

        string binding = stage.Wait.Reasons.FirstOrDefault()?.Text ?? stage.Reason;
        return Answer.Of($"{run.Name}/{stage.Name} waits: {binding}")
            .With(stage.Wait.Reasons.Skip(1).Select(reason => ("and", reason.Text)))
            .With("starts", WaitText.Start(stage.Wait, facts.Now))
            .With(stage.Wait.Ways.Select(way => ("sooner", $"{way.Text}{(way.Command.Length > 0 ? $" [{way.Command}]" : "")}")))
            .See(Places.RunPage(run.Name), "dsops queue");
    }

    private static Answer When(Facts facts)
    {
        var run = facts.Run!;
        if (!Waits(facts, out var stage))
        {
            var begun = run.Stages.FirstOrDefault(s => s.StartedAt is not null);
            return (begun is null
                    ? Answer.Unknown($"{run.Name} waits for no nodes: it is {Places.Standing(run.State, run.Reason)}")
                    : Answer.Of($"{run.Name} has started: {begun.Name} began {Places.Ago(begun.StartedAt, facts)}, and it is {run.State}")
                        .With("began", Words.Moment(begun.StartedAt.ToDateTimeOffset())))
                .See(Places.RunPage(run.Name), $"dsops show {run.Name}");
        }

        string why = stage.Wait.Reasons.FirstOrDefault()?.Text ?? stage.Reason;
        return (stage.Wait.Start is not { } start
                ? Answer.Unknown($"nothing says when enough nodes will be free: {why}")
                : Answer.Of($"{run.Name}/{stage.Name} should start {WaitText.Start(stage.Wait, facts.Now)}")
                    .With("likely", Words.Moment(start.Likely.ToDateTimeOffset()))
                    .With("earliest", Words.Moment(start.Earliest.ToDateTimeOffset()))
                    .With("latest", Words.Moment(start.Latest.ToDateTimeOffset()))
                    .With("from", start.Basis))
            .See(Places.RunPage(run.Name), "dsops queue");
    }

    private static Answer Holders(Facts facts)
    {
        var (run, cluster) = (facts.Run!, facts.Cluster!);
        bool waits = Waits(facts, out var stage);
        string group = cluster.Waiting.FirstOrDefault(w => waits && w.Run == run.Name && w.Stage == stage?.Name)?.Group ?? "";
        var nodes = cluster.Nodes.Where(node => group.Length == 0 || node.Groups.Contains(group)).ToList();
        var gangs = nodes.SelectMany(node => node.Work).GroupBy(work => $"{work.Run}/{work.Stage}")
            .Select(gang => (Name: gang.Key, Gpus: gang.Sum(work => work.Slots)))
            .OrderByDescending(gang => gang.Gpus).ThenBy(gang => gang.Name, StringComparer.Ordinal).ToList();
        int free = nodes.Where(node => node.State == "ready").Sum(node => node.Slots - node.SlotsUsed);
        string among = $"{Places.Many(nodes.Sum(node => node.Slots), "GPU", "GPUs")}{(group.Length > 0 ? $" of group {group}" : "")}";
        string who = gangs.Count == 0 ? $"Nobody holds any of the {among}"
            : $"{gangs[0].Name} holds {Places.Grouped(gangs[0].Gpus)} of the {among}"
                + (gangs.Count == 1 ? "" : $", {Places.Many(gangs.Count - 1, "other gang", "other gangs")} "
                    + Places.Grouped(gangs.Skip(1).Sum(gang => gang.Gpus)));
        string own = waits ? "" : $"; {run.Name} waits for none of them";
        return Answer.Of($"{who}; {Places.Grouped(free)} {(free == 1 ? "is" : "are")} free{own}")
            .With(gangs.Select(gang => (gang.Name, Places.Many(gang.Gpus, "GPU", "GPUs"))))
            .With("out", nodes.Count(n => n.State != "ready") is > 0 and var away
                ? $"{Words.NodeCount(away)} {(away == 1 ? "takes" : "take")} no work" : null)
            .See("/cluster", "dsops cluster");
    }

    private static bool Waits(Facts facts, [NotNullWhen(true)] out Stage? stage)
    {
        stage = facts.Run!.Stages.FirstOrDefault(s => s.Wait is not null);
        return stage is not null;
    }
}
