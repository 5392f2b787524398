using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Questions;
using DeepSeekOps.ControlPlane.Client;
using Google.Protobuf;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace DeepSeekOps.ControlPlane.Cli.Mcp;

/// <summary>Runs and incidents to be read whole, as `--json` prints them.</summary>
internal sealed partial class McpResources(ParseResult parsed)
{
    private const string Json = "application/json";

    /// <summary>Ours: what an assistant can hold beside what it does. What is longer is read by the command that it names.</summary>
    internal const int BytesMost = 200_000;

    private const int RunsMost = 100;
    private const int IncidentsMost = 50;

    /// <summary>Of each rank's last 200; the first to fail is told in full by `dsops why --json`.</summary>
    private const int LinesMost = 20;

    public static readonly ImmutableArray<Resource> All =
    [
        new() { Uri = "dsops://runs", Name = "runs", Description = $"The first {RunsMost} runs: those that run or failed first.",
            MimeType = Json },
        new() { Uri = "dsops://incidents", Name = "incidents", Description = $"The newest {IncidentsMost} incidents of all runs.",
            MimeType = Json },
    ];

    public static readonly ImmutableArray<ResourceTemplate> Templates =
    [
        new() { UriTemplate = "dsops://runs/{run}", Name = "run", Description = "A run: stages, reasons, ranks, cost.", MimeType = Json },
        new()
        {
            UriTemplate = "dsops://runs/{run}/incidents/{stage}/{number}", Name = "incident",
            Description = "An incident with its evidence: cause, decision, outcome and the last lines of ranks.", MimeType = Json,
        },
    ];

    public async ValueTask<ReadResourceResult> Read(string uri, CancellationToken cancellation)
    {
        var address = Address().Match(uri);
        if (!address.Success)
        {
            throw new McpProtocolException($"'{Answer.Plain(uri)}' is no address here. There are dsops://runs, dsops://incidents, "
                + "dsops://runs/RUN and dsops://runs/RUN/incidents/STAGE/NUMBER.", McpErrorCode.ResourceNotFound);
        }

        string text = await McpVerb.Asking(parsed, connection => Read(connection.Client, address, cancellation),
            refused => throw new McpProtocolException(Answer.Plain($"{refused.Message} {refused.Fix}"), McpErrorCode.ResourceNotFound),
                cancellation);
        return new ReadResourceResult { Contents = [new TextResourceContents { Uri = uri, MimeType = Json, Text = text }] };
    }

    private static async Task<string> Read(OpsService.OpsServiceClient client, Match address, CancellationToken cancellation)
    {
        var options = ControlPlaneConnection.Options(cancellation);
        string run = Uri.UnescapeDataString(address.Groups["run"].Value);
        string stage = Uri.UnescapeDataString(address.Groups["stage"].Value);
        if (stage.Length > 0)
        {
            int number = int.TryParse(address.Groups["number"].Value, NumberStyles.None, CultureInfo.InvariantCulture, out int n) ? n : 0;
            var report = await client.GetIncidentAsync(new GetIncidentRequest { Run = run, Stage = stage, Number = number }, options);
            return Bounded(Fewer(report), $"dsops why {run} --stage {stage} --incident {number} --json");
        }

        if (run.Length > 0)
        {
            return Bounded(await client.GetRunAsync(new GetRunRequest { Name = run }, options), $"dsops show {run} --json");
        }

        return address.Groups["list"].Value == "runs"
            ? Bounded(await client.ListRunsAsync(new ListRunsRequest { PageSize = RunsMost }, options), "dsops runs --json")
            : Bounded(await client.ListIncidentsAsync(new ListIncidentsRequest { PageSize = IncidentsMost }, options),
                "dsops incidents --json");
    }

    private static IncidentReport Fewer(IncidentReport report)
    {
        foreach (var lines in (report.Evidence?.Ranks.Select(r => r.Lines) ?? []).Concat(report.Evidence?.Pods.Select(p => p.Lines) ?? []))
        {
            while (lines.Count > LinesMost)
            {
                lines.RemoveAt(0);
            }
        }

        return report;
    }

    internal static string Bounded(IMessage message, string command)
    {
        string text = ProtoJson.Document(message);
        return Encoding.UTF8.GetByteCount(text) <= BytesMost ? text : ProtoJson.Document(json =>
        {
            json.WriteStartObject();
            json.WriteString("tooLong",
                $"This is {text.Length.ToString("N0", CultureInfo.InvariantCulture)} characters; `{command}` prints it.");
            json.WriteEndObject();
        });
    }

    [GeneratedRegex(@"\Adsops://(?:(?<list>runs|incidents)|runs/(?<run>[^/?#]{1,200})"
        + @"(?:/incidents/(?<stage>[^/?#]{1,200})/(?<number>[0-9]{1,9}))?)\z")]
    private static partial Regex Address();
}
