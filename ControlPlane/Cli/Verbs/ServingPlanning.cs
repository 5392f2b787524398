using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Hosting.Backups;
using DeepSeekOps.Decisions.Serving;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops plan --serving RUN|FILE`: where a measured model's experts go when it is served.</summary>
internal static class ServingPlanning
{
    private static readonly Column[] Table =
    [
        new("UNIT", 1), new("NODES", 2, Right: true), new("GPUS", 1, Right: true), new("SLOTS/GPU", 3, Right: true),
        new("BEFORE", 1, Right: true),
        new("AFTER", 1, Right: true), new("MEAN BEFORE", 4, Right: true), new("MEAN AFTER", 4, Right: true),
        new("LAYOUT", 5, Flexible: true),
    ];

    public static async Task Write(string from, string? folder, string? image, ParseResult parsed, Terminal terminal,
        JsonSerializerOptions json, CancellationToken cancellation)
    {
        if (folder is not null && string.IsNullOrWhiteSpace(image))
        {
            throw new RefusalException("--out writes manifests, which need an engine.", "Name its image: --image REGISTRY/ENGINE:TAG.",
                ExitCode.Usage);
        }

        var plan = ServingPlan.Of(await ServingLoads.Read(from, parsed, cancellation));
        if (folder is not null && image is not null)
        {
            await Manifests(plan, folder, image, cancellation);
        }

        if (parsed.WantsJson())
        {
            await terminal.Document.WriteLineAsync(JsonSerializer.Serialize(plan, json));
            return;
        }

        terminal.Output.WriteLine(
            In($"{plan.Layers} layers of {plan.Experts} routed experts; ")
                + "load of the busiest GPU over the mean, worst layer and mean of layers");
        Columns.Write(terminal, Table, [.. plan.Deployments.Select(d => new[]
        {
            d.Unit.Name, In($"{d.Unit.Nodes}"), In($"{d.Unit.Gpus}"), In($"{d.SlotsPerGpu}"), In($"{d.Before:0.000}"),
            In($"{d.After:0.000}"),
            In($"{d.MeanBefore:0.000}"), In($"{d.MeanAfter:0.000}"), d.Unit.Layout,
        })]);
        foreach (var unit in plan.Deployments.Select(d => d.Unit))
        {
            terminal.Output.WriteLine($"{unit.Name}: {unit.Source}");
        }

        foreach (string note in plan.Notes)
        {
            terminal.Output.WriteLine(note);
        }
    }

    private static async Task Manifests(ServingPlan plan, string folder, string image, CancellationToken cancellation)
    {
        using var folders = new NewFolders(Path.GetFullPath(folder));
        try
        {
            Directory.CreateDirectory(folder);
            foreach (var deployment in plan.Deployments)
            {
                await File.WriteAllTextAsync(Path.Combine(folder, $"{deployment.Unit.Name}.yaml"), ServingManifests.Of(deployment, image),
                    cancellation);
            }

            folders.Keep();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"--out is '{folder}', which cannot be written: {e.Message}", "Name a folder that can.", cause: e);
        }
    }

    private static string In(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
