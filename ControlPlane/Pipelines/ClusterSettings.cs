using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Pods;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>What the operators of a cluster want: a file beside the pipelines, read when the control plane starts.</summary>
public sealed record ClusterSettings
{
    /// <summary>Network of a simulated cluster, by name; real nodes tell theirs by labels.</summary>
    public string Fabric { get; init; } = "h800-256";

    public int Spares { get; init; }

    /// <inheritdoc cref="PlacementPolicy.TestNodesEvery"/>
    public int? TestNodesEveryDays { get; init; }

    public bool Borrow { get; init; } = true;

    /// <inheritdoc cref="PlacementPolicy.PreemptAbove"/>
    public int? PreemptAbove { get; init; } = PlacementPolicy.Default.PreemptAbove;

    /// <summary>What an hour of one GPU costs. Null: not set, and no cost is told in money.</summary>
    public double? DollarsPerGpuHour { get; init; }

    public ImmutableArray<TeamQuota> Teams { get; init; } = [];

    public ImmutableArray<NodeGroup> Groups { get; init; } = [];

    public ImmutableArray<MaintenanceWindow> Maintenance { get; init; } = [];

    /// <summary>Null: nothing is written of a store.</summary>
    public StoreAccess? CheckpointStore { get; init; }

    /// <summary>Null: nothing is written of Kubernetes.</summary>
    public PodSettings? Pods { get; init; }

    public NoticeSettings? Notifications { get; init; }

    public PlacementPolicy ToPolicy() => new(Teams.ToImmutableDictionary(t => t.Name, t => t.Gpus), Borrow, PreemptAbove)
    {
        TestNodesEvery = TestNodesEveryDays is { } days ? TimeSpan.FromDays(days) : null,
        Spares = Spares, Groups = Groups, Maintenance = Maintenance,
    };
}

/// <param name="Gpus">That it owns.</param>
public sealed record TeamQuota(string Name, int Gpus);

/// <summary>Settings, or what is wrong with the text.</summary>
public sealed record ClusterSettingsParse(ClusterSettings? Settings, ImmutableArray<PipelineProblem> Problems);

/// <summary>The text form of the settings: YAML, or the same as JSON.</summary>
public static class ClusterSettingsText
{
    /// <summary>Reads and checks; all problems at once, in the order of the text.</summary>
    /// <param name="nodes">Nodes of the cluster, where it has a fixed number; null: not known.</param>
    public static ClusterSettingsParse Parse(string text, int? nodes = null)
    {
        var (root, unreadable) = PipelineReader.Read(text);
        if (root is null)
        {
            return new ClusterSettingsParse(null,
                [unreadable! with { Fix = unreadable.Fix.Replace("mini.yaml", "cluster.yaml", StringComparison.Ordinal) }]);
        }

        var reading = new Reading();
        reading.Place("", root);
        if (ClusterNotation.Settings.TryRead(root, "", reading, out var settings))
        {
            Check(settings, nodes, reading);
        }

        return new ClusterSettingsParse(reading.Failed ? null : settings, [.. reading.Problems]);
    }

    /// <summary>Every field in words, as Markdown: the tables of docs/cluster.md.</summary>
    public static string Reference()
    {
        var text = new StringBuilder();
        foreach (var (title, fields) in ClusterNotation.Tables)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n### {title}\n\n| field | value | |\n|---|---|---|\n");
            foreach (var (field, inWords, required, doc) in fields)
            {
                text.Append(
                    CultureInfo.InvariantCulture, $"| `{field}` | {doc}{(required ? " **Needed.**" : "")} | "
                        + $"{inWords.Replace("|", "\\|", StringComparison.Ordinal)} |\n");
            }
        }

        return text.ToString();
    }

    private static void Check(ClusterSettings settings, int? nodes, Reading reading)
    {
        reading.Check(nodes is not { } all || settings.Spares < all,
            "spares", $"{settings.Spares} of {nodes} nodes would be spares, and nothing could run.",
            $"Write at most {nodes - 1}.", []);
        Once(settings.Teams, t => t.Name, "teams", "team", reading);
        Once(settings.Groups, g => g.Name, "groups", "group", reading);
        Once(settings.Maintenance, w => w.Name, "maintenance", "maintenance", reading);
        if (settings.Pods is { } pods)
        {
            PodNotation.Check(pods, reading);
        }

        for (int i = 0; i < settings.Groups.Length; i++)
        {
            var group = settings.Groups[i];
            reading.Check(
                !group.Labels.IsEmpty || !group.Nodes.IsEmpty, $"groups[{i}]", $"Group '{group.Name}' has neither labels nor nodes.",
                "Add 'labels:' or 'nodes:'.", []);
            reading.Check(group.Name != Spell.AnyGroup, $"groups[{i}].name", $"'{Spell.AnyGroup}' is what pipelines write for all nodes.",
                "Take another name.", []);
        }

        for (int i = 0; i < settings.Maintenance.Length; i++)
        {
            var window = settings.Maintenance[i];
            string there = settings.Groups.IsEmpty ? "Name one under 'groups:'."
                : $"There are: {string.Join(", ", settings.Groups.Select(g => g.Name))}.";
            reading.Check(window.Group.Length == 0 || settings.Groups.Any(g => g.Name == window.Group), $"maintenance[{i}].group",
                $"There is no group '{window.Group}'.", there, ["groups"]);
            reading.Check(
                window.Group.Length > 0 || !window.Nodes.IsEmpty, $"maintenance[{i}]", $"Maintenance '{window.Name}' names no nodes.",
                "Add 'group:' or 'nodes:'.", []);
        }
    }

    private static void Once<T>(ImmutableArray<T> items, Func<T, string> name, string field, string what, Reading reading)
    {
        for (int i = 0; i < items.Length; i++)
        {
            int first = items.Select(name).ToList().IndexOf(name(items[i]));
            reading.Check(first == i || name(items[i]).Length == 0, $"{field}[{i}].name", $"There is a {what} '{name(items[i])}' already.",
                "Give each a name of its own.", []);
        }
    }
}
