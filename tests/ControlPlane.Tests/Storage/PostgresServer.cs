using System.Diagnostics;
using System.Globalization;
using DeepSeekOps.ControlPlane.Hosting;
using Npgsql;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>
/// A PostgreSQL server of this process alone, from the installed programs, on a free loopback port, in a temporary folder. It refuses
/// root, so root hands it to the user nobody.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    public const string Missing = "PostgreSQL is not installed (apt-get install postgresql)";

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-pg-").FullName;
    private readonly string programs;
    private readonly int port;
    private Process? server;
    private int databases;

    private PostgresServer(string programs, int port) => (this.programs, this.port) = (programs, port);

    private string Data => Path.Combine(folder, "data");

    /// <summary>Null: it is not installed.</summary>
    public static async Task<PostgresServer?> Begin(CancellationToken cancellation)
    {
        if (Programs() is not { } programs)
        {
            return null;
        }

        var server = new PostgresServer(programs, LoopbackPort.Free());
        if (!OperatingSystem.IsWindows())
        {
            // The server's user is another one.
            File.SetUnixFileMode(server.folder, (UnixFileMode)Convert.ToInt32("777", 8));
        }

        Run(programs, "initdb", "-D", server.Data, "-U", "ops", "-A", "trust", "-E", "UTF8", "--no-sync");
        await server.Start(cancellation);
        return server;
    }

    public async Task Start(CancellationToken cancellation)
    {
        server = Process.Start(Program(
            programs, "postgres", ["-D", Data, "-p", port.ToString(CultureInfo.InvariantCulture), "-h", "127.0.0.1", "-k", folder]))!;
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
        if (server.HasExited)
        {
            throw new InvalidOperationException("the private PostgreSQL server ended at its start");
        }
    }

    /// <summary>As a crash does it: nothing is written back, every connection breaks.</summary>
    public async Task StopAtOnce()
    {
        Run(programs, "pg_ctl", "-D", Data, "-m", "immediate", "stop");
        await server!.WaitForExitAsync();
        server.Dispose();
        server = null;
    }

    /// <summary>An empty database's connection string.</summary>
    public async Task<string> CreateDatabase(CancellationToken cancellation)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"test_{Interlocked.Increment(ref databases)}");
        await using var connection = new NpgsqlConnection(ConnectionString("postgres"));
        await connection.OpenAsync(cancellation);
        await using var create = new NpgsqlCommand($"CREATE DATABASE {name}", connection);
        await create.ExecuteNonQueryAsync(cancellation);
        return ConnectionString(name);
    }

    public async ValueTask DisposeAsync()
    {
        if (server is not null)
        {
            NpgsqlConnection.ClearAllPools();
            await StopAtOnce();
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
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} ended with {process.ExitCode}: {output.Result}{error}");
        }
    }

    // A connection may take long where other test programs have the cores: 15 s, the default, were once not enough.
    private string ConnectionString(string database) =>
        $"Host=127.0.0.1;Port={port};Username=ops;Database={database};Pooling=true;Timeout=60";
}
