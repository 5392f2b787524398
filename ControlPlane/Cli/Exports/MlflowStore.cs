using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace DeepSeekOps.ControlPlane.Cli.Exports;

/// <summary>A stage as a run of MLflow's file store (mlflow/store/tracking/file_store.py); a run of ours is an experiment.</summary>
/// <param name="Id">32 hex digits.</param>
internal sealed record MlflowRun(
    string Id, string Name, string User, DateTimeOffset Start, DateTimeOffset? End, MlflowStatus Status,
    ImmutableArray<KeyValuePair<string, string>> Params, ImmutableArray<KeyValuePair<string, string>> Tags)
{
    public static string IdOf(string run, string stage) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"dsops {run}/{stage}")))[..32];
}

/// <summary>RunStatus of mlflow/protos/service.proto.</summary>
internal enum MlflowStatus
{
    Running = 1,
    Scheduled = 2,
    Finished = 3,
    Failed = 4,
    Killed = 5,
}

/// <summary>Writes one experiment's folder.</summary>
internal sealed class MlflowStore(string folder, string place)
{
    /// <summary>Of a metric's lines, before they go to its file: there may be more metrics than a process may have open files.</summary>
    private const int CharsHeld = 1 << 16;

    /// <summary>MLflow's own limit of a parameter's value.</summary>
    private const int ParamMax = 6_000;

    /// <summary>Eighteen digits: what MLflow gives experiments itself are such numbers.</summary>
    public static string ExperimentOf(string run)
    {
        ulong number = BitConverter.ToUInt64(SHA256.HashData(Encoding.UTF8.GetBytes($"dsops {run}")));
        return (100_000_000_000_000_000 + (number % 900_000_000_000_000_000)).ToString(CultureInfo.InvariantCulture);
    }

    public void Experiment(string id, string name, DateTimeOffset begun)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "meta.yaml"), Yaml(
            ("artifact_location", Quoted(Uri(place))), ("creation_time", Milliseconds(begun)), ("experiment_id", Quoted(id)),
            ("last_update_time", Milliseconds(begun)), ("lifecycle_stage", "active"), ("name", Quoted(name))));
    }

    /// <param name="pipeline">Its text, an artifact of the run.</param>
    public Metrics Run(string experiment, MlflowRun run, string pipeline)
    {
        string of = Path.Combine(folder, run.Id);
        Array.ForEach(["metrics", "params", "tags", "artifacts"], part => Directory.CreateDirectory(Path.Combine(of, part)));
        File.WriteAllText(Path.Combine(of, "meta.yaml"), Yaml(
            ("artifact_uri", Quoted(Uri($"{place}/{run.Id}/artifacts"))), ("end_time", run.End is { } end ? Milliseconds(end) : "null"),
            ("entry_point_name", "''"), ("experiment_id", Quoted(experiment)), ("lifecycle_stage", "active"), ("run_id", run.Id),
            ("run_name", Quoted(run.Name)), ("run_uuid", run.Id), ("source_name", "''"), ("source_type", "4"), ("source_version", "''"),
            ("start_time", Milliseconds(run.Start)), ("status", ((int)run.Status).ToString(CultureInfo.InvariantCulture)), ("tags", "[]"),
            ("user_id", Quoted(run.User))));
        File.WriteAllText(Path.Combine(of, "artifacts", "pipeline.yaml"), pipeline);
        foreach (var (name, value) in run.Params)
        {
            string line = value.ReplaceLineEndings(" ");
            WriteNamed(Path.Combine(of, "params"), name, line.Length > ParamMax ? line[..ParamMax] : line);
        }

        foreach (var (name, value) in run.Tags)
        {
            WriteNamed(Path.Combine(of, "tags"), name, value);
        }

        return new Metrics(Path.Combine(of, "metrics"));
    }

    /// <summary>What MLflow takes in a name: letters, digits, _, -, ., spaces, : and /; each / is a folder.</summary>
    internal static string NameOf(string name)
    {
        string plain = string.Concat(
            name.Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.' or ' ' or ':' or '/' ? c : '_'));
        return string.Join('/', plain.Split('/', StringSplitOptions.RemoveEmptyEntries).Select(part => part.Trim('.', ' '))
            .Where(part => part.Length > 0));
    }

    private static void WriteNamed(string folder, string name, string text)
    {
        string path = Path.Combine(folder, NameOf(name));
        Directory.CreateDirectory(Path.GetDirectoryName(path) ?? folder);
        File.WriteAllText(path, text);
    }

    private static string Yaml(params (string Key, string Value)[] fields) =>
        string.Concat(fields.Select(f => $"{f.Key}: {f.Value}\n"));

    /// <summary>A JSON text is a YAML text.</summary>
    private static string Quoted(string text) => JsonSerializer.Serialize(text);

    private static string Uri(string path) => new Uri(path).AbsoluteUri;

    private static string Milliseconds(DateTimeOffset at) => at.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture);

    /// <summary>`timestamp value step`, a line each, in a file for each metric.</summary>
    internal sealed class Metrics(string folder) : IDisposable
    {
        private readonly Dictionary<string, StringBuilder> held = new(StringComparer.Ordinal);

        public void Add(string name, DateTimeOffset at, double value, long step)
        {
            var lines = held.TryGetValue(name, out var known) ? known : held[name] = new StringBuilder();
            lines.Append(CultureInfo.InvariantCulture, $"{at.ToUnixTimeMilliseconds()} {Number(value)} {step}\n");
            if (lines.Length > CharsHeld)
            {
                Put(name, lines);
            }
        }

        public void Dispose()
        {
            foreach (var (name, lines) in held)
            {
                Put(name, lines);
            }
        }

        /// <summary>As Python's float() reads it.</summary>
        private static string Number(double value) => double.IsNaN(value) ? "nan" : double.IsPositiveInfinity(value) ? "inf"
            : double.IsNegativeInfinity(value) ? "-inf" : value.ToString("R", CultureInfo.InvariantCulture);

        private void Put(string name, StringBuilder lines)
        {
            string path = Path.Combine(folder, NameOf(name));
            Directory.CreateDirectory(Path.GetDirectoryName(path) ?? folder);
            File.AppendAllText(path, lines.ToString());
            lines.Clear();
        }
    }
}
