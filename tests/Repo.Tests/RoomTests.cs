using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;

namespace DeepSeekOps.Repo.Tests;

/// <summary>The rooms keep to themselves: who may reference and name what (see docs/architecture.md).</summary>
public sealed partial class RoomTests
{
    [Fact]
    public void Decisions_has_no_package_and_refers_only_to_what_the_worker_counts_by_too()
    {
        var project = XDocument.Parse(Repository.Read("ControlPlane/Decisions/Decisions.csproj"));
        Assert.DoesNotContain(project.Descendants(), e => e.Name.LocalName is "PackageReference" or "FrameworkReference");
        var reference = Assert.Single(project.Descendants("ProjectReference"));
        Assert.Equal("../../Contracts/Recipes/Recipes.csproj", (string?)reference.Attribute("Include"));
    }

    [Theory]
    [InlineData("Worker/Worker.csproj", "../Contracts/Contracts.csproj", "../Contracts/Recipes/Recipes.csproj")]
    [InlineData("Dashboard/Dashboard.csproj", "../Contracts/Contracts.csproj")]
    public void Worker_and_dashboard_reference_contracts_only(string path, params string[] allowed)
    {
        string[] references =
            [.. XDocument.Parse(Repository.Read(path)).Descendants("ProjectReference").Select(e => (string?)e.Attribute("Include") ?? "")];
        Assert.Equal(allowed, references);
    }

    [Fact]
    public void What_both_sides_read_by_has_no_package_and_no_project_of_its_own()
    {
        var project = XDocument.Parse(Repository.Read("Contracts/Recipes/Recipes.csproj"));
        Assert.DoesNotContain(project.Descendants(),
            e => e.Name.LocalName is "PackageReference" or "ProjectReference" or "FrameworkReference");
    }

    [Theory]
    [InlineData("ControlPlane/Pipelines/")]
    [InlineData("ControlPlane/Api/")]
    [InlineData("ControlPlane/Cli/Verbs/")]
    public void A_file_that_a_person_named_is_opened_by_one_reader(string room)
    {
        // Contracts/Recipes/Files opens regular files alone, and bounded; these would wait for a named pipe, or read a device without end.
        string[] found = [.. Repository.Sources().Where(f => f.StartsWith(room, StringComparison.Ordinal))
            .SelectMany(path => Repository.Lines(path).Where(l => OpensAFile().IsMatch(l)).Select(l => $"{path}: {l.Trim()}"))];
        Assert.Empty(found);
    }

    [Theory]
    [InlineData("ControlPlane/Decisions/",
        @"using (DeepSeekOps\.(ControlPlane|Contracts|Recipes(?!\.(Schedules|Pipelining);))|Microsoft|System\.(IO|Net|Threading))\b")]
    [InlineData("Contracts/Recipes/Schedules/", @"using (System\.(IO|Net|Threading)|DeepSeekOps)\b")]
    [InlineData("Contracts/Recipes/Pipelining/", @"using (System\.(IO|Net|Threading)|DeepSeekOps)\b")]
    [InlineData("ControlPlane/Grains/", "using (DeepSeekOps\\.Contracts|Microsoft\\.EntityFrameworkCore|k8s|Npgsql|Grpc)\\b")]
    [InlineData("ControlPlane/Clusters/", "using (DeepSeekOps\\.ControlPlane\\.Grains|Microsoft\\.EntityFrameworkCore)\\b")]
    [InlineData("ControlPlane/Storage/", "using (DeepSeekOps\\.ControlPlane\\.(Grains|Clusters)|DeepSeekOps\\.Contracts|k8s)\\b")]
    [InlineData("ControlPlane/Cli/", "using (DeepSeekOps\\.ControlPlane\\.(Grains|Storage)|Microsoft\\.EntityFrameworkCore)\\b")]
    [InlineData("ControlPlane/Cli/Questions/",
        @"using (Grpc|ModelContextProtocol|System\.(IO|Net|Threading)|DeepSeekOps\.ControlPlane\.Api)\b")]
    [InlineData("Dashboard/", "using DeepSeekOps\\.(ControlPlane|Decisions|Worker)\\b")]
    [InlineData("Contracts/Recipes/",
        "using (DeepSeekOps\\.(ControlPlane|Decisions|Dashboard|Worker|Contracts)|TorchSharp|Microsoft\\.(AspNetCore|Extensions))\\b")]
    [InlineData("Worker/", "using DeepSeekOps\\.(ControlPlane|Decisions|Dashboard)\\b")]
    public void A_room_does_not_look_into_the_rooms_it_must_not(string room, string forbidden)
    {
        var rule = new Regex(forbidden);
        string[] files =
            [.. Repository.Sources().Concat(Repository.Files(".razor")).Where(f => f.StartsWith(room, StringComparison.Ordinal))];
        Assert.NotEmpty(files);
        string[] found =
            [.. files.SelectMany(path => Repository.Lines(path).Where(l => rule.IsMatch(l)).Select(l => $"{path}: {l.Trim()}"))];
        Assert.Empty(found);
    }

    /// <summary>The web's names come without a using here, so its words are looked for.</summary>
    [Fact]
    public void What_answers_over_http_stands_in_the_door_and_not_in_the_ledger()
    {
        var web = new Regex(@"\b(HttpContext|IEndpointRouteBuilder|RouteGroupBuilder|IQueryCollection|IResult|WebSocket|MapGet)\b");
        string[] Found(string room) => [.. Repository.Sources().Where(f => f.StartsWith(room, StringComparison.Ordinal))
            .Where(path => web.IsMatch(Repository.Read(path)))];
        Assert.NotEmpty(Found("ControlPlane/Api/"));
        Assert.Empty(Found("ControlPlane/Storage/"));
        Assert.Empty(Found("ControlPlane/Grains/"));
        Assert.Empty(Found("ControlPlane/Clusters/"));
    }

    [Fact]
    public void Rooms_of_the_worker_stand_on_floors_and_use_only_those_below()
    {
        string[] floors =
        [
            "Agent Data Libtorch Safetensors", "Cuda Data.Preparing", "Parallel", "Parallel.Sockets", "Parallel.Nccl", "Model",
            "Checkpoints.Store",
            "Sampling Checkpoints",
            "Training.Learning", "Training.Stages", "Training.Loop", "Cli",
        ];
        var floorOf = floors.SelectMany((rooms, floor) => rooms.Split(' ').Select(room => (room, floor)))
            .ToDictionary(r => r.room, r => r.floor);
        string[] upward =
        [
            .. from path in Repository.Sources()
               where path.StartsWith("Worker/", StringComparison.Ordinal) && path.Count(c => c == '/') > 1
               let room = Path.GetDirectoryName(path)!["Worker/".Length..].Replace('/', '.')
               from line in Repository.Lines(path)
               let used = WorkerRoom().Match(line)
               where used.Success && used.Groups[1].Value != room && floorOf[used.Groups[1].Value] >= floorOf[room]
               select $"{path}: {line}",
        ];
        Assert.Empty(upward);
    }

    [Theory]
    [InlineData("ControlPlane/Decisions/")]
    [InlineData("ControlPlane/Cli/Questions/")]
    public void A_pure_room_has_no_clock_no_task_and_no_random_of_its_own(string room)
    {
        string[] found = [.. Repository.Sources().Where(f => f.StartsWith(room, StringComparison.Ordinal))
            .SelectMany(path => Repository.Lines(path).Where(l => Impure().IsMatch(l)).Select(l => $"{path}: {l.Trim()}"))];
        Assert.Empty(found);
    }

    [Fact]
    public void Package_versions_stand_in_one_place_in_order()
    {
        string[] pinnedElsewhere = [.. Repository.Files(".csproj")
            .SelectMany(path => XDocument.Parse(Repository.Read(path)).Descendants("PackageReference")
                .Where(e => e.Attribute("Version") is not null).Select(e => $"{path}: {e.Attribute("Include")?.Value}"))];
        Assert.Empty(pinnedElsewhere);
        string[] names = [.. XDocument.Parse(Repository.Read("Directory.Packages.props")).Descendants("PackageVersion")
            .Select(e => e.Attribute("Include")!.Value)];
        Assert.Equal(names.Order(StringComparer.OrdinalIgnoreCase), names);
    }

    [Fact]
    public void Every_direct_dependency_is_argued_for_in_docs_decisions()
    {
        string decisions = string.Join('\n', Repository.Files(".md")
            .Where(f => f.StartsWith("docs/decisions/", StringComparison.Ordinal)).Select(Repository.Read));
        string[] silent = [.. Repository.Files(".csproj")
            .SelectMany(
            path => XDocument.Parse(Repository.Read(path)).Descendants("PackageReference").Select(e => e.Attribute("Include")?.Value ?? ""))
            .Where(name => name.Length > 0).Distinct()
            .Where(name => !decisions.Contains(name, StringComparison.OrdinalIgnoreCase))];
        Assert.Empty(silent);
    }

    [GeneratedRegex(@"^using DeepSeekOps\.Worker\.([\w.]+);")]
    private static partial Regex WorkerRoom();

    [GeneratedRegex(@"\bFile\.(Open|Read)\w*\(|new FileStream\(")]
    private static partial Regex OpensAFile();

    [GeneratedRegex(@"\b(async|await|Task<|DateTime(Offset)?\.(Utc)?Now|Guid\.NewGuid|new Random\(\)|Random\.Shared|Stopwatch|ILogger)\b")]
    private static partial Regex Impure();
}
