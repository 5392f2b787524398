using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Planning;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// What a person can do so that a gang starts sooner, with what it costs: nothing first, then time, then other people's work.
/// </summary>
internal static class StartWays
{
    private const int NodesInACommand = 8;

    public static ImmutableArray<StartWay> For(GangRequest request, FreeNodes free, PlacementQuestion question)
    {
        int feasible = free.Feasible(request).Count;
        int missing = request.Nodes - feasible;
        return missing <= 0 ? [] : [.. Uncordon(request, free, missing), .. EndMaintenance(request, free, missing),
            .. Fewer(request, feasible), .. Preempt(request, free, question)];
    }

    /// <summary>The largest gang that its layout fits on so many nodes.</summary>
    public static ImmutableArray<StartWay> Fewer(GangRequest request, int nodes)
    {
        if (request.Options.FirstOrDefault(o => o.Nodes <= nodes) is not { } option)
        {
            return [];
        }

        string name = string.Create(CultureInfo.InvariantCulture, $"{request.Stage.Run}-{option.Nodes}n");
        return
        [
            new StartWay(WayKind.FewerNodes,
                string.Create(
                    CultureInfo.InvariantCulture, $"{Words.Count(option.Nodes, "node", "nodes")} now: +{option.LongerBy:P0} wall time "
                        + $"by the plan, as a new run"),
                string.Create(CultureInfo.InvariantCulture,
                    $"dsops clone {request.Stage.Run} {name} --stage {request.Stage.Stage} --nodes {option.Nodes} | dsops submit -"))
            {
                LongerBy = option.LongerBy,
                AskNodes = option.Nodes,
            },
        ];
    }

    private static IEnumerable<StartWay> Uncordon(GangRequest request, FreeNodes free, int missing)
    {
        var cordoned = free.CordonedFor(request).Take(missing).ToImmutableArray();
        if (cordoned.Length == missing)
        {
            int all = free.Excluded(request).Cordoned;
            yield return new StartWay(WayKind.Uncordon,
                $"uncordon {missing} of {Words.Count(all, "cordoned node", "cordoned nodes")}: costs nothing if they are sound",
                missing <= NodesInACommand ? $"dsops cluster uncordon {string.Join(' ', cordoned)}" : "")
            {
                GpuHours = 0,
                Nodes = cordoned,
            };
        }
    }

    private static IEnumerable<StartWay> EndMaintenance(GangRequest request, FreeNodes free, int missing)
    {
        if (free.WindowsBefore(request) is [var (window, nodes), ..] && nodes >= missing)
        {
            yield return new StartWay(WayKind.EndMaintenance,
                $"cancel maintenance {window}: its {Words.Count(nodes, "node is", "nodes are")} there at once, and its "
                    + "work has to be planned again",
                window.ByHand ? $"dsops cluster maintenance cancel {window.Name}" : "")
            {
                GpuHours = 0,
            };
        }
    }

    /// <summary>The cheapest gangs of no higher priority that together make room.</summary>
    private static IEnumerable<StartWay> Preempt(GangRequest request, FreeNodes free, PlacementQuestion question)
    {
        var candidates = question.Held.Where(h => h.Hold.Length == 0 && h.Priority <= request.Priority && h.Stage != request.Stage)
            .OrderBy(h => Price(h, question).Certain).ThenBy(h => h.Stage.ToString(), StringComparer.Ordinal);
        var victims = Victims.Choose(request, free, candidates);
        if (victims.Count == 0)
        {
            yield break;
        }

        double certain = victims.Sum(v => Price(v, question).Certain);
        double? risk = victims.All(v => Price(v, question).AtRisk is not null) ? victims.Sum(v => Price(v, question).AtRisk) : null;
        bool measured = victims.All(v => Price(v, question).Measured);
        string basis = measured ? ""
            : string.Create(CultureInfo.InvariantCulture, $" (restart taken as {Words.Duration(Calibration.Recovery)})");
        string more = risk is { } lost ? string.Create(CultureInfo.InvariantCulture, $"; {lost:0.#} more if it cannot save") : "";
        string names = string.Join(" and ", victims.Select(v => $"{v.Stage} ({Words.Count(v.Nodes.Length, "node", "nodes")})"));
        yield return new StartWay(WayKind.Preempt,
            string.Create(CultureInfo.InvariantCulture, $"preempt {names}: {certain:0.##} GPU-h lost to save and restart{basis}{more}"),
            $"dsops queue preempt {string.Join(' ', victims.Select(v => v.Stage))} --for {request.Stage}")
        {
            GpuHours = certain,
            GpuHoursAtRisk = risk,
            Victims = [.. victims.Select(v => v.Stage)],
        };
    }

    /// <summary>GPU-hours: its save and its restart for certain, what it has not saved yet at risk.</summary>
    private static (double Certain, double? AtRisk, bool Measured) Price(GangGrant held, PlacementQuestion question)
    {
        var pace = question.Paces.TryGetValue(held.Stage, out var seen) && seen.Newest.Gang == held.Id ? seen.Newest : null;
        var away = (pace?.SaveTook ?? held.SaveTime) + (pace?.RestartTook ?? Calibration.Recovery);
        return (held.Slots * away.TotalHours, pace is null ? null : held.Slots * pace.SinceSaved.TotalHours, pace?.RestartTook is not null);
    }
}
