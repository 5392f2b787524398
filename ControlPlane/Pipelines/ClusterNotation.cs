using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json.Nodes;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>The table of the cluster's settings.</summary>
internal static class ClusterNotation
{
    private static readonly TimeSpan Year = TimeSpan.FromDays(366);

    private static TextNotation NodeName { get; } = new("a node's name", "[A-Za-z0-9._-]{1,128}");

    private static Notation<ImmutableArray<NodeId>> Nodes { get; } = new ListNotation<NodeId>(
        new ProjectedNotation<string, NodeId>(NodeName, v => new NodeId(v), v => v.Name), 0, 100_000, "node names");

    internal static Notation<ImmutableDictionary<string, string>> Labels { get; } =
        new ProjectedNotation<ImmutableArray<string>, ImmutableDictionary<string, string>>(
            new ListNotation<string>(new TextNotation("a label as key=value", "[^=\\s]{1,256}=[^=\\s]{0,256}"), 0, 20,
                "labels as key=value"),
            labels =>
            labels.Select(l => l.Split('=')).GroupBy(l => l[0], StringComparer.Ordinal).ToImmutableDictionary(l => l.Key, l => l.Last()[1]),
            labels => [.. labels.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => $"{l.Key}={l.Value}")]);

    private static Notation<int?> Gap { get; } = new ProjectedNotation<string, int?>(
        new TextNotation("'never', or a whole number such as 100", "(never|[1-9][0-9]{0,5})"),
        v => v == "never" ? null : int.Parse(v, CultureInfo.InvariantCulture), v => v?.ToString(CultureInfo.InvariantCulture) ?? "never");

    private static Notation<int?> Days { get; } = new ProjectedNotation<int, int?>(Spell.Int(0, 365), v => v, v => v ?? 0);

    private static Notation<double?> Price { get; } =
        new ProjectedNotation<double, double?>(new RealNotation(0, 100_000), v => v, v => v ?? 0);

    private static Mapping<TeamQuota> Team { get; } = new Mapping<TeamQuota>("a team", new TeamQuota("", 0))
        .With("name", Spell.Name, t => t.Name, (t, v) => t with { Name = v }, "As pipelines write it under 'team'.", required: true)
        .With("gpus", Spell.Int(0, 10_000_000), t => t.Gpus, (t, v) => t with { Gpus = v }, "GPUs that it owns.", required: true);

    private static Mapping<NodeGroup> Group { get; } =
        new Mapping<NodeGroup>("a group", new NodeGroup("", ImmutableDictionary<string, string>.Empty, []))
        .With("name", Spell.Name, g => g.Name, (g, v) => g with { Name = v }, "As pipelines write it under 'resources.group'.",
            required: true)
        .With("labels", Labels, g => g.Labels, (g, v) => g with { Labels = v }, "Nodes that carry all of these belong to it.")
        .With("nodes", Nodes, g => g.Nodes, (g, v) => g with { Nodes = v }, "These belong to it too.");

    private static Mapping<MaintenanceWindow> Window { get; } = new Mapping<MaintenanceWindow>(
            "a maintenance", new MaintenanceWindow("", [], "", default, default, "planned"))
        .With("name", Spell.Name, w => w.Name, (w, v) => w with { Name = v }, "What it is called.", required: true)
        .With("group", Spell.Name, w => w.Group, (w, v) => w with { Group = v }, "All nodes of this group are out.")
        .With("nodes", Nodes, w => w.Nodes, (w, v) => w with { Nodes = v }, "These nodes are out.")
        .With("from", new MomentNotation(), w => w.From, (w, v) => w with { From = v, Until = v + (w.Until - w.From) }, "When it begins.",
            required: true)
        .With("for", Spell.Duration(TimeSpan.FromMinutes(1), Year), w => w.Until - w.From, (w, v) => w with { Until = w.From + v },
            "How long it takes.",
            required: true)
        .With("reason", Spell.Anything, w => w.Reason, (w, v) => w with { Reason = v }, "Why, for those whose gangs leave.");

    public static Mapping<ClusterSettings> Settings { get; } = new Mapping<ClusterSettings>("a cluster's settings", new ClusterSettings())
        .With(PipelineNotation.ApiVersionKey, PipelineNotation.ApiVersion, _ => "deepseekops/v1", (s, _) => s, "Version of this form.",
            required: true)
        .With("fabric", new ChoiceNotation<string>([.. Fabric.Presets.Keys.Select(k => (k, k))]), s => s.Fabric,
            (s, v) => s with { Fabric = v },
            "Network of a simulated cluster. Real nodes tell theirs by the labels deepseekops.io/leaf and deepseekops.io/zone.")
        .With("spares", Spell.Int(0, 100_000), s => s.Spares, (s, v) => s with { Spares = v },
            "Nodes kept free for gangs that run and lose one.")
        .With("testNodesEveryDays", Days, s => s.TestNodesEveryDays, (s, v) => s with { TestNodesEveryDays = v },
            "Idle nodes are tested so often, and when they come back; 0: only by `dsops cluster test`. Not set: 7, on local nodes 0.")
        .With("borrow", new FlagNotation(), s => s.Borrow, (s, v) => s with { Borrow = v },
            "A team may hold more than it owns until the owners ask for it; then what was borrowed saves and gives way.")
        .With("preemptAbove", Gap, s => s.PreemptAbove, (s, v) => s with { PreemptAbove = v },
            "A gang pushes out gangs whose priority is lower by this much (low 0, normal 100, high 200, urgent 300).")
        .With("dollarsPerGpuHour", Price, s => s.DollarsPerGpuHour, (s, v) => s with { DollarsPerGpuHour = v },
            "What an hour of one GPU costs: costs of runs and incidents are shown in money too. Not set: in GPU-hours only.")
        .With("teams", new ListNotation<TeamQuota>(Team, 0, 10_000, "teams"), s => s.Teams, (s, v) => s with { Teams = v },
            "Who owns how much; none: no quotas.")
        .With("groups", new ListNotation<NodeGroup>(Group, 0, 1_000, "groups"), s => s.Groups, (s, v) => s with { Groups = v },
            "Names for nodes.")
        .With("maintenance", new ListNotation<MaintenanceWindow>(Window, 0, 1_000, "maintenance windows"), s => s.Maintenance,
            (s, v) => s with { Maintenance = v }, "Planned times in which nodes are out.")
        .MaybeRecord("notifications", NoticeNotation.Settings, s => s.Notifications, (s, v) => s with { Notifications = v },
            "Who is notified of what automation cannot fix.")
        .MaybeRecord("checkpointStore", StoreNotation.Settings, s => s.CheckpointStore, (s, v) => s with { CheckpointStore = v },
            "Where checkpoints are copied to, behind the folder that they are saved in.")
        .MaybeRecord("kubernetes", PodNotation.Pods, s => s.Pods, (s, v) => s with { Pods = v },
            "How pods are made, and nodes are read, on a Kubernetes cluster.");

    public static IEnumerable<(string Title, IEnumerable<(string Name, string InWords, bool Required, string Doc)> Fields)> Tables =>
        [("settings", Lines(Settings)), ("teams", Lines(Team)), ("groups", Lines(Group)), ("maintenance", Lines(Window)),
            .. NoticeNotation.Tables, ("checkpointStore", Lines(StoreNotation.Settings)), .. PodNotation.Tables];

    internal static IEnumerable<(string, string, bool, string)> Lines<T>(Mapping<T> table)
        where T : class => table.Fields.Select(f => (f.Name, f.InWords, f.Required, f.Doc));

    /// <summary>A point in time with its zone: a time without one is another time elsewhere.</summary>
    private sealed class MomentNotation : ScalarNotation<DateTimeOffset>
    {
        private static readonly string[] Forms =
            ["yyyy-MM-dd'T'HH:mmK", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd HH:mmK", "yyyy-MM-dd HH:mm:ssK", "yyyy-MM-dd HH:mm K"];

        public override string InWords => "a time with its zone, such as 2026-12-01T08:00Z";

        protected override bool TryParse(string text, [MaybeNullWhen(false)] out DateTimeOffset value, out string message, out string fix)
        {
            bool zoned = text.EndsWith('Z') || (text.Length > 6 && text[^6] is '+' or '-');
            message = zoned ? $"'{text}' is not a time." : $"'{text}' does not say in which zone it is.";
            fix = $"Write {InWords} or 2026-12-01T08:00+01:00.";
            return DateTimeOffset.TryParseExact(text, Forms, CultureInfo.InvariantCulture, DateTimeStyles.None, out value) && zoned;
        }

        public override string Format(DateTimeOffset value) => value.ToString("yyyy-MM-dd'T'HH:mm:ssK", CultureInfo.InvariantCulture);

        public override JsonObject Schema() => new() { ["type"] = "string" };
    }
}
