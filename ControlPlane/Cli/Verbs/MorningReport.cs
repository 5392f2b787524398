using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Sentences = DeepSeekOps.Decisions.Words;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>
/// `dsops incidents --since 24h`: what whoever was asleep reads in a minute. What needs a person first, then what is still on the way,
/// then what was mended, by cause.
/// </summary>
internal static class MorningReport
{
    /// <summary>Mended incidents of one cause that are told one by one; of more the longest are.</summary>
    private const int EachShown = 3;

    /// <param name="over">Runs that have ended well or were cancelled: what went wrong with them needs nobody any more.</param>
    public static void Write(Terminal terminal, ListIncidentsReply reply, IReadOnlySet<string> over, TimeSpan since, DateTimeOffset now)
    {
        var (person, open, mended, nothing) = Sorted(reply, over);
        Say(terminal, 0, $"{(reply.Simulated ? "Simulated. " : "")}{Headline(reply, over, since, now)}");
        foreach (var incident in person)
        {
            Say(terminal, 0, $"NEEDS A PERSON: {Id(incident)}, {When(incident, now)}: {incident.Sentence}");
            Say(terminal, 4, $"see: dsops why {incident.Run} --incident {Number(incident)}");
        }

        foreach (var incident in open)
        {
            Say(terminal, 0, $"{incident.State.ToUpperInvariant()}: {Id(incident)}, {When(incident, now)}: {incident.Sentence}");
        }

        foreach (var cause in mended.GroupBy(i => i.Diagnosis.Cause).OrderByDescending(c => c.Sum(i => i.Outcome?.GpuHours ?? 0)))
        {
            Say(terminal, 0, $"fixed: {cause.Key}, {Count(cause.Count(), "time", "times")}, "
                + $"{Sentences.GpuHours(cause.Sum(i => i.Outcome?.GpuHours ?? 0))} GPU-hours");
            foreach (var incident in cause.OrderByDescending(i => i.Outcome?.GpuHours ?? 0).Take(EachShown))
            {
                Say(terminal, 4, $"{Id(incident)}, {When(incident, now)}: {incident.Sentence}");
            }
        }

        var nodes = reply.Nodes.Where(n => n.State != "closed").ToArray();
        foreach (var node in nodes)
        {
            Say(terminal, 0, $"NODE OUT, NOBODY NEEDED: {node.Sentence}");
        }

        if (reply.Nodes.Count > nodes.Length)
        {
            Say(terminal, 0, $"{Count(reply.Nodes.Count - nodes.Length, "node was", "nodes were")} out and came back.");
        }

        if (nothing.Count > 0)
        {
            Say(terminal, 0, $"{Count(nothing.Count, "silence", "silences")} ended by itself: nothing was done.");
        }

        if (reply.More)
        {
            Say(terminal, 0, "There are more than one report holds: the newest are here.");
        }
    }

    /// <summary>The whole of it in a sentence.</summary>
    public static string Headline(ListIncidentsReply reply, IReadOnlySet<string> over, TimeSpan since, DateTimeOffset now)
    {
        var (person, open, mended, _) = Sorted(reply, over);
        double hours = reply.Incidents.Where(i => i.OpenedAt.ToDateTimeOffset() >= now - since).Sum(i => i.Outcome?.GpuHours ?? 0);
        string money = reply.HasDollarsPerGpuHour ? CostText.Money(hours * reply.DollarsPerGpuHour) : "price not set";
        return $"The last {Words.Time(since)}: "
            + $"{Count(person.Count, "incident needs", "incidents need")} a person, {Count(open.Count, "is", "are")} on the way, "
            + $"{Count(mended.Count, "was", "were")} fixed and verified; {Sentences.GpuHours(hours)} GPU-hours ({money}).";
    }

    private static (List<Incident> Person, List<Incident> Open, List<Incident> Mended, List<Incident> Nothing) Sorted(
        ListIncidentsReply reply, IReadOnlySet<string> over) =>
    (
        [.. reply.Incidents.Where(i => i.State == "needs-human" && !over.Contains(i.Run))],
        [.. reply.Incidents.Where(i => i.State is not ("closed" or "needs-human"))],
        [.. reply.Incidents.Where(i => i.State == "closed" && i.Diagnosis is not null)],
        [.. reply.Incidents.Where(i => i.State == "closed" && i.Diagnosis is null)]
    );

    public static string Id(Incident incident) => $"{incident.Run}/{incident.Stage}/{Number(incident)}";

    private static string Number(Incident incident) => incident.Number.ToString(CultureInfo.InvariantCulture);

    private static string When(Incident incident, DateTimeOffset now) => Words.Clock(incident.OpenedAt.ToDateTimeOffset(), now);

    private static string Count(int count, string one, string many) =>
        $"{count.ToString(CultureInfo.InvariantCulture)} {(count == 1 ? one : many)}";

    private static void Say(Terminal terminal, int indent, string text)
    {
        foreach (string line in Columns.Hang(text, Math.Max(40, terminal.Width), indent, 4))
        {
            terminal.Output.WriteLine(line);
        }
    }
}
