using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Storage.Backups;
using DeepSeekOps.Decisions.Backups;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.People;

/// <summary>A whole run as a file, from one control plane into another. Three seconds of a core, most of them the other's start.</summary>
public sealed partial class PeopleTests
{
    [Fact]
    public async Task A_run_that_was_exported_is_imported_to_the_last_bit_by_who_may()
    {
        await using var other = new Host();
        await other.InitializeAsync();
        var run = await Ended(other);
        byte[] file = await Export(other, other.Services.GetRequiredService<AccessKey>().PeoplesToken, run.Name);

        // A team's admin brings in its own; nobody else, and nothing that was changed on the way.
        using var beta = await host.As("admin", "beta");
        using var operating = await host.As("operator", "gamma");
        using var gamma = await host.As("admin", "gamma");
        Assert.Contains("moved is of another team", await Refused(HttpStatusCode.Forbidden, beta.Text, file), StringComparison.Ordinal);
        Assert.Contains("needs the role admin", await Refused(HttpStatusCode.Forbidden, operating.Text, file), StringComparison.Ordinal);
        byte[] changed = [.. file];
        changed[changed.Length / 2] ^= 1;
        Assert.Contains("is not as it was written",
            await Refused(HttpStatusCode.UnprocessableEntity, gamma.Text, changed), StringComparison.Ordinal);
        Assert.Contains("is no run of dsops",
            await Refused(HttpStatusCode.UnprocessableEntity, gamma.Text, "name: mini\n"u8.ToArray()), StringComparison.Ordinal);
        Assert.Contains("`dsops restore` reads it", await Refused(HttpStatusCode.UnprocessableEntity, gamma.Text,
            BackupFile.Whole.FirstLine), StringComparison.Ordinal);

        Assert.Contains("its manifest says too little",
            await Refused(HttpStatusCode.UnprocessableEntity, gamma.Text, await Forged(new Little([]))), StringComparison.Ordinal);

        using var first = JsonDocument.Parse(await Import(HttpStatusCode.OK, gamma.Text, file));
        Assert.True(first.RootElement.GetProperty("rows").GetInt64() > 10);
        Assert.Equal(run, await gamma.Ops.GetRunAsync(new GetRunRequest { Name = run.Name }, cancellationToken: Cancelled));
        Assert.Equal(PartsOf(file), PartsOf(await Export(host, gamma.Text, run.Name)));
        using var again = JsonDocument.Parse(await Import(HttpStatusCode.OK, gamma.Text, file));
        Assert.Equal(0, again.RootElement.GetProperty("rows").GetInt64());
        using var look = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        // As the list has it: written by the run, with its stages as they are.
        while ((await gamma.Ops.ListRunsAsync(new ListRunsRequest { Search = "moved" }, cancellationToken: Cancelled)).Runs
            is not [{ State: "cancelled" } listed] || listed.Stages[0].Step != run.Stages[0].Step)
        {
            await look.WaitForNextTickAsync(Cancelled);
        }

        var lines = (await host.Owner.ListAuditAsync(new ListAuditRequest { Run = run.Name }, cancellationToken: Cancelled)).Lines
            .Where(l => l.Act == "import-run").ToList();
        Assert.Contains(lines, l => l.Who == gamma.Name && l.Outcome == "done");
        Assert.Contains(lines, l => l.Who == beta.Name && l.Outcome.StartsWith("refused: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_trains_is_not_exported_whole_and_a_name_that_is_taken_stays_with_whom_it_is()
    {
        await using var other = new Host();
        await other.InitializeAsync();
        string owner = other.Services.GetRequiredService<AccessKey>().PeoplesToken;
        using var early = await other.Get("/archives?run=of-alpha", owner);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, early.StatusCode);
        Assert.Contains("a whole run is exported when it has ended", await early.Content.ReadAsStringAsync(Cancelled),
            StringComparison.Ordinal);
        using var none = await other.Get("/archives?run=nobody", owner);
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
        await other.Owner.CancelRunAsync(new RunCommand { Name = "of-alpha" }, cancellationToken: Cancelled);
        byte[] file = await Export(other, owner, "of-alpha");

        var here = await host.Owner.GetRunAsync(new GetRunRequest { Name = "of-alpha" }, cancellationToken: Cancelled);
        string words = await Refused(HttpStatusCode.Conflict, host.Services.GetRequiredService<AccessKey>().PeoplesToken, file);
        Assert.Contains("There is another run named of-alpha here", words, StringComparison.Ordinal);
        var after = await host.Owner.GetRunAsync(new GetRunRequest { Name = "of-alpha" }, cancellationToken: Cancelled);
        Assert.Equal(here.SubmittedAt, after.SubmittedAt);
    }

    /// <summary>A run of team gamma that has trained a little and was cancelled, with a stage that never began.</summary>
    private static async Task<Run> Ended(Host at)
    {
        foreach (string name in new[] { "of-alpha", "of-beta" })
        {
            await at.Owner.CancelRunAsync(new RunCommand { Name = name }, cancellationToken: Cancelled);
        }

        await at.Owner.SubmitRunAsync(new SubmitRunRequest { Text = Host.Pipeline("moved", "gamma") }, cancellationToken: Cancelled);
        await Until(at, run => run.Stages[0].Step > 20);
        await at.Owner.CancelRunAsync(new RunCommand { Name = "moved", Reason = "enough" }, cancellationToken: Cancelled);
        return await Until(at, run => run.State == "cancelled");
    }

    private static async Task<Run> Until(Host at, Func<Run, bool> holds)
    {
        using var look = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (true)
        {
            var run = await at.Owner.GetRunAsync(new GetRunRequest { Name = "moved" }, cancellationToken: Cancelled);
            if (holds(run))
            {
                return run;
            }

            await look.WaitForNextTickAsync(Cancelled);
        }
    }

    /// <summary>One that has only just ended is asked for again, as its refusal says.</summary>
    private static async Task<byte[]> Export(Host from, string token, string run)
    {
        using var look = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (true)
        {
            using var answer = await from.Get($"/archives?run={run}", token);
            if (answer.IsSuccessStatusCode)
            {
                return await answer.Content.ReadAsByteArrayAsync(Cancelled);
            }

            string why = await answer.Content.ReadAsStringAsync(Cancelled);
            Assert.True(why.Contains("only just ended", StringComparison.Ordinal)
                || why.Contains("exported when it has ended", StringComparison.Ordinal), why);
            await look.WaitForNextTickAsync(Cancelled);
        }
    }

    private async Task<string> Refused(HttpStatusCode status, string token, byte[] file) =>
        (await Import(status, token, file)).Replace("\\u0060", "`", StringComparison.Ordinal);

    private async Task<string> Import(HttpStatusCode expected, string token, byte[] file)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/archives") { Content = new ByteArrayContent(file) };
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        using var answer = await host.Http.SendAsync(request, Cancelled);
        string body = await answer.Content.ReadAsStringAsync(Cancelled);
        Assert.True(answer.StatusCode == expected, $"{answer.StatusCode}: {body}");
        return body;
    }

    /// <summary>A manifest without all else.</summary>
    private sealed record Little(ImmutableArray<BackupPart> Parts) : IListsParts;

    private static async Task<byte[]> Forged(Little manifest)
    {
        using var file = new MemoryStream();
        file.Write(BackupFile.OneRun.FirstLine);
        await StoreSnapshot.Manifest(manifest, file, Cancelled);
        return file.ToArray();
    }

    private static ImmutableArray<BackupPart> PartsOf(byte[] file)
    {
        using var reader = new BackupReader(new MemoryStream(file), BackupFile.OneRun);
        return reader.Verify<RunManifest>(Cancelled).Parts;
    }
}
