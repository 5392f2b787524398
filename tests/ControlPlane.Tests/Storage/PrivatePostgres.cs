using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using DeepSeekOps.ControlPlane.Tests.Storage;
using Npgsql;
using Xunit;

[assembly: AssemblyFixture(typeof(PrivatePostgres))]

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>
/// A PostgreSQL server of this test process alone, from the installed programs, on a free loopback port, in a temporary folder. It
/// begins with the first test that asks and ends with the process. It refuses root, so root hands it to the user nobody.
/// </summary>
public sealed class PrivatePostgres : IAsyncDisposable
{
    private readonly SemaphoreSlim beginning = new(1);
    private readonly string folder = Directory.CreateTempSubdirectory("dsops-pg-").FullName;
    private Process? server;
    private int port;
    private string? missing;
    private int databases;

    /// <summary>An empty database's connection string; skips the test, with the reason, where PostgreSQL is not installed.</summary>
    public async Task<string> CreateDatabase(CancellationToken cancellation)
    {
        await beginning.WaitAsync(cancellation);
        try
        {
            if (server is null && missing is null)
            {
                await Start(cancellation);
            }
        }
        finally
        {
            beginning.Release();
        }

        Assert.SkipWhen(missing is not null, missing ?? "");
        string name = $"test_{Interlocked.Increment(ref databases)}";
        await using var connection = await Connect(cancellation);
        await using var create = new NpgsqlCommand($"CREATE DATABASE {name}", connection);
        await create.ExecuteNonQueryAsync(cancellation);
        return ConnectionString(name);
    }

    public async ValueTask DisposeAsync()
    {
        if (server is not null)
        {
            NpgsqlConnection.ClearAllPools();
            Run(Programs()!, "pg_ctl", "-D", Path.Combine(folder, "data"), "-m", "immediate", "stop");
            await server.WaitForExitAsync();
            server.Dispose();
        }

        Directory.Delete(folder, recursive: true);
    }

    private static string? Programs()
    {
        string[] versions = Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql") : [];
        string[] path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries);
        return versions.OrderDescending().Select(v => Path.Combine(v, "bin")).Concat(["/usr/local/bin"]).Concat(path)
            .FirstOrDefault(d => File.Exists(Path.Combine(d, "initdb")) && File.Exists(Path.Combine(d, "pg_ctl")));
    }

    private static ProcessStartInfo Program(string programs, string program, IEnumerable<string> arguments)
    {
        IEnumerable<string> command = [Path.Combine(programs, program), .. arguments];
        if (Environment.UserName == "root")
        {
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", .. command];
        }

        return new ProcessStartInfo(command.First(), command.Skip(1))
        {
            WorkingDirectory = "/", RedirectStandardOutput = true, RedirectStandardError = true,
        };
    }

    private static void Run(string programs, string program, params string[] arguments)
    {
        using var process = Process.Start(Program(programs, program, arguments))!;
        var output = process.StandardOutput.ReadToEndAsync();
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} ended with {process.ExitCode}: {output.Result}{error}");
    }

    private async Task Start(CancellationToken cancellation)
    {
        if (Programs() is not { } programs)
        {
            missing = "PostgreSQL is not installed (apt-get install postgresql)";
            return;
        }

        if (!OperatingSystem.IsWindows())
        {
            // The server's user is another one.
            File.SetUnixFileMode(folder, (UnixFileMode)Convert.ToInt32("777", 8));
        }

        string data = Path.Combine(folder, "data");
        Run(programs, "initdb", "-D", data, "-U", "ops", "-A", "trust", "-E", "UTF8", "--no-sync");
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            port = ((IPEndPoint)free.LocalEndpoint).Port;
        }

        server = Process.Start(Program(programs, "postgres", ["-D", data, "-p", $"{port}", "-h", "127.0.0.1", "-k", folder]))!;
        var ready = new TaskCompletionSource();
        server.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is null || line.Data.Contains("ready to accept connections", StringComparison.Ordinal))
            {
                ready.TrySetResult();
            }
        };
        server.OutputDataReceived += (_, _) => { };
        server.BeginErrorReadLine();
        server.BeginOutputReadLine();
        await ready.Task.WaitAsync(TimeSpan.FromSeconds(60), cancellation);
        Assert.False(server.HasExited, "the private PostgreSQL server ended at its start");
    }

    private string ConnectionString(string database) => $"Host=127.0.0.1;Port={port};Username=ops;Database={database};Pooling=true";

    private async Task<NpgsqlConnection> Connect(CancellationToken cancellation)
    {
        var connection = new NpgsqlConnection(ConnectionString("postgres"));
        await connection.OpenAsync(cancellation);
        return connection;
    }
}
