using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;

namespace DeepSeekOps.Repo.Tests;

/// <summary>Rooms are floors: each uses those below it, none of them in a circle (docs/decisions/0014).</summary>
public sealed partial class FloorTests
{
    /// <summary>Bottom first, as docs/architecture.md draws them; the first is the folder itself.</summary>
    private static readonly string[] Decisions =
    [
        "", "Audit", "Backups", "People", "Recipes", "Goodput", "Throughput", "Checkpoints", "Gangs", "Tracing", "Planning", "Placement",
        "Pods", "Spikes", "Exits", "Health", "Recovery", "Incidents", "Stages", "Drills", "Runs", "Serving", "Doctor", "Simulation",
    ];

    /// <summary>Files whose namespace is not their folder's, with the reason.</summary>
    private static readonly Dictionary<string, string> NotItsFolder = new(StringComparer.Ordinal)
    {
        ["Contracts/StageFacts.cs"] = "adds to a class that the wire's compiler writes, which is of the wire's namespace",
    };

    [Fact]
    public void A_namespace_is_its_folder()
    {
        string[] elsewhere =
        [
            .. from path in Repository.Sources()
               where !NotItsFolder.ContainsKey(path)
               let named = Namespace().Match(Repository.Read(path))
               where named.Success && named.Groups[1].Value != Rooms.Of(path)
               select $"{path}: {named.Groups[1].Value}, its folder is {Rooms.Of(path)}",
        ];
        Assert.Empty(elsewhere);
        Assert.All(NotItsFolder.Keys, path => Assert.Contains(path, Repository.Sources()));
    }

    [Fact]
    public void The_drawing_of_the_floors_has_the_floors()
    {
        string drawing = Repository.Read("docs/architecture.md").Split("```")
            .Single(block => block.TrimStart().StartsWith("Simulation ", StringComparison.Ordinal));
        string[] drawn = [.. drawing.Trim().Split('\n').Select(line => line.Split(' ')[0])];
        Assert.Equal([.. Decisions.Skip(1).Reverse(), "(the"], drawn);
    }

    [Fact]
    public void Floors_of_decisions_use_only_those_below()
    {
        var floorOf =
            Decisions.Select((name, floor) => (Room: name.Length == 0 ? "DeepSeekOps.Decisions" : $"DeepSeekOps.Decisions.{name}", floor))
            .ToDictionary(f => f.Room, f => f.floor);
        var arrows = Rooms.Arrows().Where(a => a.From.StartsWith("DeepSeekOps.Decisions", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(arrows);
        // Below all of them lies what the worker counts by too.
        arrows = [.. arrows.Where(a => a.To is not ("DeepSeekOps.Recipes.Schedules" or "DeepSeekOps.Recipes.Pipelining"))];
        Assert.Empty(arrows.Where(a => floorOf[a.To] > floorOf[a.From]).Select(a => $"{a.Path} uses {a.To}"));
        string[] rooms = [.. Repository.Sources().Select(Rooms.Of).OfType<string>().Where(r => r == "DeepSeekOps.Decisions"
            || (r.StartsWith("DeepSeekOps.Decisions.", StringComparison.Ordinal)
                && !r.StartsWith("DeepSeekOps.Decisions.Tests", StringComparison.Ordinal))).Distinct()];
        Assert.Equal(floorOf.Keys.Order(StringComparer.Ordinal), rooms.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void No_rooms_use_each_other_in_a_circle()
    {
        var arrows = Rooms.Arrows().ToArray();
        Assert.Contains(arrows, a => a is { From: "DeepSeekOps.ControlPlane.Grains", To: "DeepSeekOps.Decisions.Stages" });
        string[] circles =
            [.. Rooms.Circles(arrows.Select(a => (a.From, a.To)).Distinct()).Select(circle => string.Join(", ", circle) + ": "
            + string.Join("; ", arrows.Where(a => circle.Contains(a.From) && circle.Contains(a.To)).Select(a => $"{a.Path} uses {a.To}")))];
        Assert.Empty(circles);
    }

    [Fact]
    public void A_circle_of_rooms_is_found_and_a_room_within_a_room_is_none()
    {
        string[][] found = [.. Rooms.Circles([("A", "B"), ("B", "C"), ("C", "A"), ("C", "D"), ("D", "E")])];
        Assert.Equal(["A", "B", "C"], Assert.Single(found));
        Assert.Empty(Rooms.Circles([("A", "A.Inner"), ("A.Inner", "A"), ("B", "A")]));
    }

    /// <summary>One would hide from a reader, and from these tests, that a file looks into another room of its product.</summary>
    [Fact]
    public void No_global_using_opens_a_room_of_the_same_product()
    {
        string[] opened =
        [
            .. from path in Repository.Files(".csproj")
               from name in XDocument.Parse(Repository.Read(path)).Descendants("Using").Select(e => (string?)e.Attribute("Include") ?? "")
               where name.StartsWith("DeepSeekOps.", StringComparison.Ordinal)
                   && !name.StartsWith("DeepSeekOps.Recipes", StringComparison.Ordinal)
               select $"{path}: {name}",
            .. from path in Repository.Sources() from line in Repository.Lines(path)
                where line.StartsWith("global using ", StringComparison.Ordinal) select $"{path}: {line}",
        ];
        Assert.Empty(opened);
    }

    [GeneratedRegex(@"^namespace ([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex Namespace();
}
