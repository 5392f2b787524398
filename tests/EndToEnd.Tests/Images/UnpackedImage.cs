using System.Diagnostics;
using System.Text.Json.Nodes;

namespace DeepSeekOps.EndToEnd.Tests.Images;

/// <summary>An image that `deploy/images/build` made, unpacked; tests/images/run-in runs its entry point as a pod would.</summary>
internal sealed class UnpackedImage : IDisposable
{
    /// <summary>The folder that images were built into, or why there is none.</summary>
    public const string Variable = "DSOPS_TEST_IMAGES";

    public const string Missing = "images are built and run where that is asked for: bash tests/run --images (root, buildah, debootstrap)";

    private static readonly string Runner = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../tests/images/run-in"));

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-image-").FullName;

    private UnpackedImage(string archive)
    {
        Directory.CreateDirectory(Path.Combine(folder, "root"));
        Unpack(archive, folder);
        var manifest = Blob(Digest(Read("index.json")["manifests"]![0]!));
        foreach (var layer in manifest["layers"]!.AsArray())
        {
            PackedBytes += (long)layer!["size"]!;
            Unpack(Path.Combine(folder, "blobs/sha256", Digest(layer)), Path.Combine(folder, "root"), "--gzip", "--keep-directory-symlink");
        }

        Config = Blob(Digest(manifest["config"]!))["config"]!;
        File.WriteAllLines(Path.Combine(folder, "entrypoint"), Words("Entrypoint"));
        File.WriteAllLines(Path.Combine(folder, "env"), Words("Env"));
        File.WriteAllText(Path.Combine(folder, "user"), RunsAs);
    }

    /// <summary>As a registry has it and a node fetches it.</summary>
    public long PackedBytes { get; }

    public JsonNode Config { get; }

    public string RunsAs => (string)Config["User"]!;

    public string Root => Path.Combine(folder, "root");

    /// <returns>Null: images were not asked for.</returns>
    public static UnpackedImage? Of(string name)
    {
        string? built = Environment.GetEnvironmentVariable(Variable);
        return built is { Length: > 0 } ? new UnpackedImage(Directory.GetFiles(built, $"{name}-*.tar").Single(
            f => char.IsAsciiDigit(Path.GetFileName(f)[name.Length + 1]))) : null;
    }

    public string[] Words(string part) => [.. Config[part]!.AsArray().Select(w => (string)w!)];

    /// <summary>What a container engine would start; arguments follow.</summary>
    /// <param name="mounts">As run-in has them: rw:FOLDER:PLACE or ro:FOLDER:PLACE.</param>
    public string[] Start(params string[] mounts) => ["env", $"DSOPS_TEST_MOUNTS={string.Join(',', mounts)}", "bash", Runner, folder];

    public (int Code, string Said) Run(string[] arguments, params string[] mounts)
    {
        string[] words = [.. Start(mounts), .. arguments];
        using var process = Process.Start(
            new ProcessStartInfo(words[0], words[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync();
        string said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, said + error.GetAwaiter().GetResult());
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private JsonNode Read(string file) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, file)))!;

    private JsonNode Blob(string digest) => Read(Path.Combine("blobs/sha256", digest));

    private static string Digest(JsonNode of) => ((string)of["digest"]!)["sha256:".Length..];

    private static void Unpack(string archive, string into, params string[] how)
    {
        using var tar = Process.Start("tar", ["--extract", "--file", archive, "--directory", into, .. how]);
        tar.WaitForExit();
        if (tar.ExitCode != 0)
        {
            throw new InvalidOperationException($"{archive} does not unpack: tar ended with {tar.ExitCode}");
        }
    }
}
