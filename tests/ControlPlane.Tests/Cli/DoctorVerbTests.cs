using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Tests.Api.People.Oidc;
using DeepSeekOps.ControlPlane.Tests.Hosting.Tls;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

/// <summary>`dsops doctor` on real files and ports of this machine; a cluster of its own it needs not. Two seconds of work.</summary>
public sealed class DoctorVerbTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("dsops-doctor-").FullName;

    private string Data => Path.Combine(folder, "data");

    [Fact]
    public async Task A_machine_before_its_first_start_has_no_fault_and_each_line_fits()
    {
        var (code, output) = await Run();
        Assert.Equal(ExitCode.Ok, code);
        Assert.All(output.Split('\n').Where(line => line.Trim().Contains(' ', StringComparison.Ordinal)),
            line => Assert.InRange(line.Length, 0, 80));
        Assert.Contains("0 faults, ", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Data), "it makes nothing");
    }

    [Fact]
    public async Task What_was_planted_is_named_with_its_fix_and_the_exit_code()
    {
        Directory.CreateDirectory(Data);
        await Write(Path.Combine(Data, "dsops.key"), "no key", UnixFileMode.UserRead | UnixFileMode.OtherRead);
        await Write(Path.Combine(Data, ControlFile.Name),
            "{\"pid\":999999999,\"http\":\"http://127.0.0.1:1\",\"grpc\":\"http://127.0.0.1:2\"}",
            UnixFileMode.UserRead);
        await Write(Path.Combine(Data, "dsops.db"), "this is no database, and long enough to be looked at as one of a hundred bytes",
            UnixFileMode.UserRead);
        await Write(Path.Combine(folder, "cluster.yaml"), "apiVersion: deepseekops/v1\nspares: many\n", UnixFileMode.UserRead);
        using var held = new FileStream(Path.Combine(Data, "dsops.lock"), FileMode.Create, FileAccess.ReadWrite, FileShare.None);
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        int port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        var (code, output) = await Run("--json", "--cluster-settings", Path.Combine(folder, "cluster.yaml"),
            "--port", port.ToString(CultureInfo.InvariantCulture));
        Assert.Equal(ExitCode.Unwell, code);
        var told = JsonNode.Parse(output)!;
        Assert.Equal("fault", (string?)told["level"]);
        Is(told, "settings.file", "fault", "cluster.yaml:2:9 spares: 'many'");
        Is(told, "data.key", "fault", "is not a key");
        Is(told, "data.holder", "warning", "a control plane has the folder");
        Is(told, "data.control-file", "warning", "names pid 999999999");
        Is(told, "port.http", "fault", $"pid {Environment.ProcessId}");
        Is(told, "database.connect", "fault", "is not a database");
    }

    [Fact]
    public async Task A_key_that_others_may_read_is_a_fault_and_a_database_file_that_is_missing_too()
    {
        Directory.CreateDirectory(Data);
        await Write(Path.Combine(Data, "dsops.key"), new string('A', 43), UnixFileMode.UserRead | UnixFileMode.GroupRead);
        var (code, output) = await Run("--json", "--database-file", Path.Combine(folder, "no-such-file"));
        Assert.Equal(ExitCode.Unwell, code);
        Is(JsonNode.Parse(output)!, "data.key", "fault", "mode 0440");
        Is(JsonNode.Parse(output)!, "database.connect", "fault", "cannot be read");
    }

    [Theory]
    [InlineData("")]
    [InlineData("/below/it")]
    public async Task A_data_directory_that_is_a_file_is_a_fault(string below)
    {
        await File.WriteAllTextAsync(Data, "a file", TestContext.Current.CancellationToken);
        var (code, output) = await RunIn(Data + below, "--json");
        Assert.Equal(ExitCode.Unwell, code);
        Is(JsonNode.Parse(output)!, "data.folder", "fault", $"{Data} is a file and no folder");
    }

    [Fact]
    public async Task A_folder_in_the_place_of_the_key_is_a_fault()
    {
        Directory.CreateDirectory(Path.Combine(Data, "dsops.key"));
        var (code, output) = await Run("--json");
        Assert.Equal(ExitCode.Unwell, code);
        Is(JsonNode.Parse(output)!, "data.key", "fault", "is a folder and no key");
    }

    /// <summary>As a network mount that hangs: a pipe that nobody writes to. Five seconds of waiting.</summary>
    [Fact]
    public async Task A_file_that_never_answers_is_told_and_keeps_nothing_else_from_being_told()
    {
        string pipe = Path.Combine(folder, "pipe");
        using (var made = Process.Start("mkfifo", pipe))
        {
            await made.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        var (code, output) = await Run("--json", "--database-file", pipe);
        Assert.Equal(ExitCode.Unwell, code);
        Is(JsonNode.Parse(output)!, "database.connect", "fault", "no answer within 5 s");
        Assert.Contains("data.space", output, StringComparison.Ordinal);
        // Lets go of whoever still waits to read.
        await using var writer = new FileStream(pipe, FileMode.Open, FileAccess.Write);
    }

    [Fact]
    public async Task A_certificate_is_looked_at_as_people_would_see_it()
    {
        using var authority = new Authority();
        using var old = authority.Sign("ops.example.org", from: -90, until: -1);
        using var other = authority.Sign("ops.example.org");
        var (file, key) = Authority.Write(folder, old);
        string[] where = ["--json", "--https", "127.0.0.1:8443", "--public-url",
            "https://ops.example.com", "--https-cert", file];
        var (code, output) = await Run([.. where, "--https-key", key]);
        Assert.Equal(ExitCode.Unwell, code);
        Is(JsonNode.Parse(output)!, "https.expiry", "fault", "expired on");
        Is(JsonNode.Parse(output)!, "https.names", "fault", "does not cover ops.example.com");
        var (_, wrong) = Authority.Write(folder, other, "other");
        Is(JsonNode.Parse((await Run([.. where, "--https-key", wrong])).Output)!, "https.certificate", "fault", "is not the key of");
    }

    [Fact]
    public async Task A_provider_of_sign_ins_is_asked_what_a_sign_in_would_ask()
    {
        await using var provider = await TestProvider.Start();
        string[] where = ["--json", "--oidc-client-id", TestProvider.Client, "--oidc-admins", "platform", "--oidc-authority"];
        var well = JsonNode.Parse((await Run([.. where, provider.Issuer])).Output)!;
        Assert.Equal(["ok", "ok", "ok"], well["checks"]!.AsArray()
            .Where(c => (string?)c!["check"] is "oidc.authority" or "oidc.issuer" or "oidc.clock").Select(c => (string?)c!["level"]));
        Is(well, "oidc.redirect", "warning", "which is on this machine alone");

        provider.CallsItself = "https://login.example.com";
        provider.Registered.Add("https://ops.example.com/sign-in/callback");
        using var authority = new Authority();
        using var certificate = authority.Sign("ops.example.org");
        var (file, key) = Authority.Write(folder, certificate);
        string secret = Path.Combine(folder, "client-secret");
        await Write(secret, "secret", UnixFileMode.UserRead | UnixFileMode.OtherRead);
        var (code, output) = await Run([.. where, provider.Issuer, "--https", "127.0.0.1:8443", "--public-url", "https://ops.example.org",
            "--https-cert", file, "--https-key", key, "--oidc-client-secret-file", secret]);
        Assert.Equal(ExitCode.Unwell, code);
        Is(JsonNode.Parse(output)!, "oidc.issuer", "fault", "calls itself 'https://login.example.com'");
        Is(JsonNode.Parse(output)!, "oidc.redirect", "fault", "answers 400 to a sign-in that comes back to https://ops.example.org/");
        Is(JsonNode.Parse(output)!, "settings.secrets", "warning", "client-secret");
        provider.Away = true;
        Is(JsonNode.Parse((await Run([.. where, provider.Issuer])).Output)!, "oidc.authority", "fault", "answers 503");
        Is(JsonNode.Parse((await Run([.. where, "http://127.0.0.1:1"])).Output)!, "oidc.authority", "fault", "gives no discovery document");
    }

    /// <summary>A command line of `dev` or `serve` is one of `doctor`.</summary>
    [Fact]
    public void It_takes_every_option_of_dev_and_serve()
    {
        var root = CommandLine.Build(new Terminal(TextWriter.Null, TextWriter.Null, 80, Colors: false, Interactive: false));
        string[] Options(string verb) => [.. root.Subcommands.Single(c => c.Name == verb).Options.Select(o => o.Name)];
        Assert.Empty(Options("dev").Concat(Options("serve")).Except(Options("doctor")));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static async Task Write(string path, string text, UnixFileMode mode)
    {
        await File.WriteAllTextAsync(path, text);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, mode);
        }
    }

    private static void Is(JsonNode told, string check, string level, string words)
    {
        var finding = told["checks"]!.AsArray().First(c => (string?)c!["check"] == check)!;
        Assert.Equal(level, (string?)finding["level"]);
        Assert.Contains(words, (string?)finding["found"], StringComparison.Ordinal);
        Assert.NotEmpty((string?)finding["fix"] ?? "");
    }

    private Task<(int Code, string Output)> Run(params string[] words) => RunIn(Data, words);

    private static async Task<(int Code, string Output)> RunIn(string data, params string[] words)
    {
        using var output = new StringWriter();
        var terminal = new Terminal(output, TextWriter.Null, 4_000, Colors: false, Interactive: false);
        int code = await CommandLine.Run(["doctor", "--cluster", "simulated", "--data-dir", data, .. words], terminal,
            TestContext.Current.CancellationToken);
        return (code, output.ToString());
    }
}
