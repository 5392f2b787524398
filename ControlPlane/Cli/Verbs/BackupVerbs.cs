using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Hosting.Backups;
using DeepSeekOps.Decisions.Backups;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops backup` and `dsops restore`: no clients of the Api, since there may be none any more.</summary>
internal static class BackupVerbs
{
    /// <summary>Of checkpoints that are missing; `--json` has all.</summary>
    private const int MissingShown = 10;

    public static Command Backup(Terminal terminal)
    {
        var file = new Option<string>("--out")
        {
            Description = "File that is written; it must not be there yet.", HelpName = "FILE", Required = true,
        };
        var (database, databaseFile) = (HostVerbs.Database(), HostVerbs.DatabaseFile());
        var command = new Command("backup",
            "Writes the ledger and all state (runs, events, series, logs, incidents, audit log, tokens' digests, queue, cordons) as they "
            + "are at one moment into one file, beside a control plane that works or without one. Checkpoints are named in it, with their "
            + "digests, and not copied; dsops.key is not in it.")
        {
            file, database, databaseFile,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            long began = Stopwatch.GetTimestamp();
            string path = Path.GetFullPath(parsed.GetRequiredValue(file));
            var (manifest, bytes) = await BackingUp.Run(new BackupAsked(path, Folder(parsed),
                DatabaseText.From(parsed.GetValue(database), parsed.GetValue(databaseFile))), TimeProvider.System, cancellation);
            var took = Stopwatch.GetElapsedTime(began);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteString("file", path);
                    writer.WriteNumber("bytes", bytes);
                    writer.WriteNumber("seconds", Math.Round(took.TotalSeconds, 3));
                    Manifest(writer, manifest);
                    writer.WriteEndObject();
                }));
                return ExitCode.Ok;
            }

            await terminal.Output.WriteLineAsync($"{path}: {Words.Bytes(bytes)} in {Seconds(took)}, read back once.");
            await terminal.Output.WriteLineAsync($"{What(manifest)}.");
            await terminal.Output.WriteLineAsync(
                $"{Checkpoints(manifest.Checkpoints.Length)} named and not copied. Keep them, dsops.key and the cluster's settings "
                + "elsewhere too.");
            return ExitCode.Ok;
        });
        return command;
    }

    public static Command Restore(Terminal terminal)
    {
        var file = new Argument<string>("file") { Description = "What `dsops backup` wrote." };
        var check = new Option<bool>("--check") { Description = "Only read all of it and say what is in it; nothing is written." };
        var (database, databaseFile) = (HostVerbs.Database(), HostVerbs.DatabaseFile());
        var key = new Option<string?>("--key-file")
        {
            Description = "dsops.key of the control plane that the backup is of; it is put into the data directory. Default: the one that "
                + "lies there, or a new one.",
            HelpName = "FILE",
        };
        var checkpoints = new Option<string?>("--checkpoints")
        {
            Description = "Folder of the checkpoints: those that are not there are named. Default: checkpoints/ of the data directory.",
            HelpName = "DIR",
        };
        var command = new Command("restore",
            "Makes an empty data directory, or an empty PostgreSQL database, what the backup was of; of either it can be restored into "
            + "either. A file that was changed or cut is refused, and nothing is half restored. The next `dsops dev` or `serve` goes on: "
            + "stages that ran come back in new gangs from the newest checkpoint that is there. End the old control plane and its agents "
            + "first.")
        {
            file, check, database, databaseFile, key, checkpoints,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            long began = Stopwatch.GetTimestamp();
            string path = Path.GetFullPath(parsed.GetRequiredValue(file));
            if (parsed.GetValue(check))
            {
                return await Checked(terminal, path, parsed.WantsJson(), cancellation);
            }

            var restored = await Restoring.Run(new RestoreAsked(path, Folder(parsed),
                DatabaseText.From(parsed.GetValue(database), parsed.GetValue(databaseFile)), FullPath(parsed.GetValue(key)),
                FullPath(parsed.GetValue(checkpoints))), TimeProvider.System, cancellation);
            var took = Stopwatch.GetElapsedTime(began);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(Json(restored, took));
                return ExitCode.Ok;
            }

            foreach (string line in InWords(restored, took))
            {
                await terminal.Output.WriteLineAsync(Columns.Clean(line));
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private static string Folder(ParseResult parsed) =>
        Path.GetFullPath(parsed.GetValue(CommonOptions.DataDirectory) ?? ControlFile.UsualDirectory);

    private static string? FullPath(string? path) => path is null ? null : Path.GetFullPath(path);

    private static async Task<int> Checked(Terminal terminal, string path, bool json, CancellationToken cancellation)
    {
        var manifest = Restoring.Check(path, cancellation);
        await terminal.Answer(json).WriteLineAsync(json
            ? ProtoJson.Document(writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("file", path);
                Manifest(writer, manifest);
                writer.WriteEndObject();
            })
            : $"{path} is as it was written, by dsops {manifest.Version} from {manifest.Place}. {What(manifest)}; "
                + $"{Checkpoints(manifest.Checkpoints.Length)} named.");
        return ExitCode.Ok;
    }

    private static IEnumerable<string> InWords(Restored restored, TimeSpan took)
    {
        yield return $"{restored.Place} was made in {Seconds(took)}. {What(restored.Manifest)}.";
        if (restored.Checkpoints is not { } looked)
        {
            yield return $"{Checkpoints(restored.Manifest.Checkpoints.Length)} named in it; name their folder with --checkpoints to see "
                + "whether they are there.";
        }
        else
        {
            yield return FormattableString.Invariant(
                $"Of {restored.Manifest.Checkpoints.Length} checkpoints {looked.There} are in {looked.Folder}, ")
                + FormattableString.Invariant($"{looked.Stored.Length} in a store alone, {looked.Missing.Length} cannot be reached.");
            foreach (var newer in looked.Newer)
            {
                yield return $"  {newer.Run}/{newer.Stage} has a later one there, of step {newer.Step}: the stage goes on from it.";
            }

            foreach (var missing in looked.Missing.Take(MissingShown))
            {
                yield return $"  missing: {Path.Combine(looked.Folder, missing.Path)} ({missing.Run}/{missing.Stage} step {missing.Step})";
            }

            if (looked.Missing.Length > MissingShown)
            {
                yield return FormattableString.Invariant($"  and {looked.Missing.Length - MissingShown} more; --json names them all.");
            }
        }

        foreach (string note in restored.Notes)
        {
            yield return note;
        }
    }

    private static string Json(Restored restored, TimeSpan took) => ProtoJson.Document(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("place", restored.Place);
        writer.WriteString("newIdentity", restored.Identity);
        writer.WriteNumber("seconds", Math.Round(took.TotalSeconds, 3));
        if (restored.Checkpoints is { } looked)
        {
            writer.WriteString("checkpointFolder", looked.Folder);
            writer.WriteNumber("checkpointsThere", looked.There);
            Named("checkpointsInStore", looked.Stored);
            Named("checkpointsMissing", looked.Missing);
            writer.WritePropertyName("newerCheckpoints");
            JsonSerializer.Serialize(writer, looked.Newer, JsonSerializerOptions.Web);
        }

        writer.WriteStartArray("notes");
        restored.Notes.ToList().ForEach(writer.WriteStringValue);
        writer.WriteEndArray();
        Manifest(writer, restored.Manifest);
        writer.WriteEndObject();

        void Named(string name, IEnumerable<NamedCheckpoint> those)
        {
            writer.WritePropertyName(name);
            JsonSerializer.Serialize(writer, those, JsonSerializerOptions.Web);
        }
    });

    private static void Manifest(Utf8JsonWriter writer, BackupManifest manifest)
    {
        writer.WritePropertyName("manifest");
        JsonSerializer.Serialize(writer, manifest, JsonSerializerOptions.Web);
    }

    /// <summary>"3 runs (1 goes on) and 12,345 rows, as of 2026-11-28 22:40 UTC".</summary>
    private static string What(BackupManifest manifest) =>
        $"{Decisions.Words.Count(manifest.Runs, "run", "runs")} ({manifest.Unfinished} not ended) and "
        + $"{manifest.Parts.Sum(p => p.Rows).ToString("N0", CultureInfo.InvariantCulture)} rows, as of {Words.Moment(manifest.Made)}";

    private static string Checkpoints(int count) => count == 1 ? "1 checkpoint is" : $"{count} checkpoints are";

    private static string Seconds(TimeSpan took) => string.Create(CultureInfo.InvariantCulture, $"{took.TotalSeconds:0.0} s");
}
