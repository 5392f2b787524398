using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Hosting.Backups;
using DeepSeekOps.Recipes;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops export --format archive` and `dsops import`: a whole run as a file.</summary>
internal static class RunFiles
{
    private const string Path = "/archives";
    private const string Written = "Name a file that `dsops export RUN --format archive` wrote.";

    public static Command Import(Terminal terminal)
    {
        var file = new Argument<string>("file") { Description = "What `dsops export RUN --format archive` wrote." };
        var command = new Command("import",
            "Brings a run that has ended elsewhere into this control plane, with its name, its series, logs, events, incidents and "
            + "results, to the last bit. Nothing of it trains on, and its checkpoints stay where they are. Done twice it changes "
            + "nothing. Needs an admin of the run's team.")
        {
            file,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            string path = System.IO.Path.GetFullPath(parsed.GetRequiredValue(file));
            await using var body = Open(path);
            using var connection = await VerbAction.Connect(parsed, cancellation);
            await using var answer = await connection.Post(Path, body, cancellation);
            using var told = await JsonDocument.ParseAsync(answer, cancellationToken: cancellation);
            var brought = told.RootElement;
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(brought.GetRawText());
                return ExitCode.Ok;
            }

            string run = Columns.Clean(brought.GetProperty("run").GetString() ?? "");
            long rows = brought.GetProperty("rows").GetInt64();
            int stages = brought.GetProperty("stages").GetInt32();
            await terminal.Output.WriteLineAsync(rows == 0 ? $"{run} was here already, with all that the file has."
                : $"{run} is here: {Columns.Clean(brought.GetProperty("state").GetString() ?? "")}, "
                    + $"{Decisions.Words.Count(stages, "stage", "stages")}, {rows.ToString("N0", CultureInfo.InvariantCulture)} rows "
                    + "of history"
                    + (brought.GetProperty("simulated").GetBoolean() ? "; simulated: no figure in it is measured." : "."));
            await terminal.Output.WriteLineAsync($"Its checkpoints are named and not in the file. See it with `dsops show {run}`.");
            return ExitCode.Ok;
        });
        return command;
    }

    public static async Task<int> Export(Terminal terminal, ControlPlaneConnection connection, string run, string folder, bool json,
        CancellationToken cancellation)
    {
        string path = System.IO.Path.Combine(folder, $"{run}.dsops");
        if (File.Exists(path))
        {
            throw new RefusalException($"{path} is there already.", "Name another folder with --out, or delete the earlier export.");
        }

        await using var coming = await connection.Get($"{Path}?run={Uri.EscapeDataString(run)}", cancellation);
        long bytes = await Keep(coming, folder, path, cancellation);
        await terminal.Answer(json).WriteLineAsync(json
            ? ProtoJson.Document(writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("file", path);
                writer.WriteNumber("bytes", bytes);
                writer.WriteEndObject();
            })
            : $"{path}: {Words.Bytes(bytes)}, all of {Columns.Clean(run)} but its checkpoints. `dsops import` reads it.");
        return ExitCode.Ok;
    }

    private static async Task<long> Keep(Stream coming, string folder, string path, CancellationToken cancellation)
    {
        string aside = DurableFile.Aside(path);
        using var folders = new NewFolders(folder);
        try
        {
            Directory.CreateDirectory(folder);
            DurableFile.ClearAbandonedRuns(path);
            await using (var file = DurableFile.Create(aside))
            {
                await coming.CopyToAsync(file, cancellation);
            }

            DurableFile.Finish(aside, path);
            folders.Keep();
            return new FileInfo(path).Length;
        }
        catch (HttpIOException e)
        {
            throw new RefusalException("The control plane went away in the middle of the file; nothing is left of it.",
                "Export it again.", ExitCode.NotReachable, e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"Cannot write {path}: {e.Message.TrimEnd('.')}.",
                "Free space there, or name a folder that is yours with --out.", ExitCode.Failed, e);
        }
        finally
        {
            if (File.Exists(aside))
            {
                File.Delete(aside);
            }
        }
    }

    private static NamedFileStream Open(string path)
    {
        try
        {
            return new NamedFileStream(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new RefusalException($"There is no file {path}.", Written, ExitCode.Failed, e);
        }
        catch (BadInputException e)
        {
            throw new RefusalException(e.What, e.Fix, ExitCode.Failed, e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"Cannot read {path}: {e.Message.TrimEnd('.')}.", "Make it readable for you.", ExitCode.Failed, e);
        }
    }
}
