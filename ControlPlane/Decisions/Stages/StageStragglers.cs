using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// A rank that holds its gang up, as an incident: told with what was measured, and with its price. It is never ended for it.
/// </summary>
internal static class StageStragglers
{
    /// <summary>Null: nobody is slow, or too little is known.</summary>
    public static Stage? Found(Stage stage, GangGrant gang, int number, Observation seen, DateTimeOffset now)
    {
        if (seen.Slow?.Slowest is not { } slow)
        {
            return null;
        }

        long step = seen.Latest?.Step ?? stage.LaunchedFrom;
        var rank = slow.Rank;
        string sentence = $"rank {rank.Rank} on {rank.Node} is slow in its own work ({slow.Doing}): {Ms(rank.Own)} a step, "
            + $"{Others(slow)} {Ms(slow.PeersOwn)}, without what is waited for others and for a core; the gang is held up by up to "
            + $"{Ms(slow.HeldUp)} a step";
        var diagnosis = new Diagnosis(now, SlowRank.Cause, sentence, "",
            $"look at {rank.Node}: clocks, temperature, other programs. `dsops cordon {rank.Node}`, then pause and resume, gives the gang "
            + "another node", "", rank.Rank, rank.Node.Name, stage.Attempt, step, Refused(slow));
        var decision = new IncidentDecision(now, "it is reported, and the gang trains on", IncidentDecision.Advice, step,
        [
            new RefusedRemedy("end the rank", "a slow rank still trains, and a restart does not make a machine faster"),
            new RefusedRemedy("another gang", $"a person may: by itself nothing is ended for {Ms(slow.HeldUp)} a step"),
        ]);
        var began = new Incident(stage.Id, number, IncidentState.Diagnosed, now, "", gang.Slots, []);
        return stage.Say(now, "straggler", EventLevel.Warning, sentence) with
        {
            NewestIncident = IncidentMachine.Tell(began, diagnosis, decision, now - SlowRanks.Window, slow.Seen.Select(Figure)),
        };
    }

    /// <summary>What is known now of the incident that is open for a slow rank.</summary>
    public static Incident Moved(Incident open, Stage stage, Observation seen, DateTimeOffset now)
    {
        if (seen.Slow is not { Slowest: null } look)
        {
            return open;
        }

        long step = seen.Latest?.Step ?? stage.LaunchedFrom;
        var lost = TimeSpan.FromSeconds(look.HeldUp);
        return IncidentMachine.Over(open, $"no rank is slow by its own work any more at step {step}", lost,
            $"The gang was held up by {Words.Duration(lost)}, {Words.GpuHours(lost.TotalHours * open.Ranks)} GPU-hours of straggler tax.",
            step, now);
    }

    private static ImmutableArray<RefusedTheory> Refused(SlowRank slow) =>
    [
        new("the whole job is slow", $"{Others(slow)} {Ms(slow.PeersOwn)} for the same work in the same seconds"),
        new("its machine is busy with something else",
            $"what it waited for a core, {Ms(slow.Rank.Queued)} a step, is not counted as its work"),
        new("the network is slow", $"nor is what it spent inside calls of its gang, {Ms(slow.Rank.Waited)} a step"),
        new("it hangs", $"it made {Words.Count((int)slow.Steps, "step", "steps")} while it was looked at"),
    ];

    private static string Others(SlowRank slow) => slow.Seen.Length == 2 ? $"rank {slow.Seen[1].Rank}" : "the median of its peers is";

    private static string Figure(RankSeconds of) =>
        $"rank {of.Rank} on {of.Node}: {Ms(of.Own)} own work a step, {Ms(of.Waited)} inside calls, {Ms(of.Queued)} waiting for a core";

    private static string Ms(double seconds) => seconds >= 1 ? Words.Duration(TimeSpan.FromSeconds(seconds))
        : string.Create(CultureInfo.InvariantCulture, $"{seconds * 1000:0.#} ms");
}
