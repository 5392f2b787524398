using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops incidents --node NODE`: what went wrong with one node, each with what shows it, what was done and its course.</summary>
internal static class NodeIncidentText
{
    public static void Write(Terminal terminal, ListIncidentsReply reply, string node, DateTimeOffset now)
    {
        if (reply.Nodes.Count == 0)
        {
            Say(terminal, 0, $"No incident of {node}.");
        }

        foreach (var incident in reply.Nodes)
        {
            Say(terminal, 0, incident.Sentence);
            Say(terminal, 2, $"{incident.Node}/{incident.Number.ToString(CultureInfo.InvariantCulture)}, {incident.State}, "
                + $"out of use for {Words.Time(Out(incident, now))}, {Decisions.Words.Count(incident.Slots, "GPU", "GPUs")}");
            Say(terminal, 2, $"cause: {incident.Cause}: {incident.Evidence}");
            Say(terminal, 2, $"done: {incident.Done}");
            foreach (var step in incident.Steps)
            {
                Say(terminal, 4, $"{Words.Clock(step.At.ToDateTimeOffset(), now)} {step.State}: {step.Text}");
            }
        }

        if (reply.More)
        {
            Say(terminal, 0, "There are older ones.");
        }
    }

    /// <summary>From when it went out until it was ready again, or until now.</summary>
    public static TimeSpan Out(NodeIncident incident, DateTimeOffset now) =>
        ((incident.BackAt ?? incident.EndedAt)?.ToDateTimeOffset() ?? now) - incident.HappenedAt.ToDateTimeOffset();

    private static void Say(Terminal terminal, int indent, string text)
    {
        foreach (string line in Columns.Hang(text, Math.Max(40, terminal.Width), indent, 4))
        {
            terminal.Output.WriteLine(line);
        }
    }
}
