using System.Diagnostics;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions.Drills;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Data.Sqlite;
using DrillTruth = DeepSeekOps.Contracts.Ops.V1.DrillTruth;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>
/// Faults of the control plane itself, for real, by the command that asks for them: nobody else would be left to undo them. Only one on
/// this machine, of this user, found by its data directory.
/// </summary>
/// <param name="connect">A connection of its own each time: the port may be another.</param>
internal sealed class DrillOutage(string dataDirectory, Func<CancellationToken, Task<ControlPlaneConnection>> connect, TimeSpan within)
{
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(250);

    /// <summary>Strikes, undoes it, and waits until the control plane answers and can write.</summary>
    /// <returns>What was done and seen.</returns>
    public async Task<DrillTruth> Strike(DrillTruth truth, CancellationToken cancellation)
    {
        var struck = truth.Clone();
        if (DrillFaults.Parse(truth.Fault) == DrillFault.DatabaseDown)
        {
            await HoldDatabase(struck, cancellation);
        }
        else
        {
            await KillAndStart(struck, cancellation);
        }

        if (await Answers(cancellation))
        {
            struck.BackAt = Now();
        }

        return struck;
    }

    private async Task KillAndStart(DrillTruth truth, CancellationToken cancellation)
    {
        var found = ControlPlaneConnection.Running(dataDirectory);
        var start = StartOf(found);
        using var process = Process.GetProcessById(found.Pid);
        truth.At = Now();
        process.Kill();
        await process.WaitForExitAsync(cancellation);
        truth.What = string.Create(CultureInfo.InvariantCulture,
            $"SIGKILL to the control plane (pid {found.Pid}); started again as it was after {DrillPlan.AwayFor.TotalSeconds:0} s, ")
            + $"it prints to {start.Log}";
        await Task.Delay(DrillPlan.AwayFor, CancellationToken.None);
        // Whoever looks after it may have been sooner: two on one data directory cannot be.
        if (ControlFile.Read(dataDirectory) is not { } now || !now.ProcessLives())
        {
            using var again = Process.Start(start.Info);
        }
    }

    /// <summary>The command, environment and folder of the process that runs, with what it prints going to a file.</summary>
    private (ProcessStartInfo Info, string Log) StartOf(ControlFile found)
    {
        string proc = $"/proc/{found.Pid.ToString(CultureInfo.InvariantCulture)}";
        try
        {
            string[] command = [.. Split($"{proc}/cmdline")];
            if (!command.Any(part => Path.GetFileName(part) is "dsops" or "dsops.dll"))
            {
                throw new RefusalException($"Process {found.Pid} is not `dsops`: {string.Join(' ', command)}.",
                    "Start the control plane by `dsops dev --drills`.", ExitCode.Failed);
            }

            string log = Path.GetFullPath(Path.Combine(dataDirectory, "drill-restart.log"));
            // A session of its own: it outlives this command, and the terminal that this one was typed in.
            var info = new ProcessStartInfo("/bin/sh")
            {
                ArgumentList = { "-c", "log=$0; exec setsid \"$@\" >>\"$log\" 2>&1 </dev/null", log },
                WorkingDirectory = new FileInfo($"{proc}/cwd").LinkTarget ?? ".",
            };
            Array.ForEach(command, info.ArgumentList.Add);
            info.Environment.Clear();
            foreach (string pair in Split($"{proc}/environ"))
            {
                if (pair.Split('=', 2) is [{ Length: > 0 } name, var value])
                {
                    info.Environment[name] = value;
                }
            }

            return (info, log);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"How the control plane (pid {found.Pid}) was started cannot be read: {e.Message.TrimEnd('.')}.",
                "Run the drill as the user who started it, on Linux.", ExitCode.Failed, e);
        }
    }

    private static string[] Split(string path) => File.ReadAllText(path).Split('\0', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>What any other program could do: it begins a write and does not end it.</summary>
    private async Task HoldDatabase(DrillTruth truth, CancellationToken cancellation)
    {
        var found = ControlPlaneConnection.Running(dataDirectory);
        if (!File.Exists(truth.File))
        {
            throw new RefusalException($"The database {truth.File} is not on this machine.",
                "Run the drill where the control plane runs.", ExitCode.Failed);
        }

        await using var database = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = truth.File, Mode = SqliteOpenMode.ReadWrite, Pooling = false,
        }.ToString());
        await database.OpenAsync(cancellation);
        await using var transaction = database.BeginTransaction(deferred: false);
        truth.At = Now();
        truth.What = string.Create(CultureInfo.InvariantCulture,
            $"the write lock of {truth.File} is held for {DrillPlan.AwayFor.TotalSeconds:0} s; ")
            + $"the control plane (pid {found.Pid}) runs on";
        long began = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(began) < DrillPlan.AwayFor)
        {
            if (truth.ToldAfter is null && await StoreProblem(cancellation) is { } problem)
            {
                (truth.Told, truth.ToldAfter) = (problem, Duration.FromTimeSpan(TimeProvider.System.GetElapsedTime(began)));
            }

            await Task.Delay(AskEvery, CancellationToken.None);
        }

        await transaction.RollbackAsync(CancellationToken.None);
    }

    /// <summary>False: not within the time.</summary>
    private async Task<bool> Answers(CancellationToken cancellation)
    {
        long began = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(began) < within)
        {
            try
            {
                if (await StoreProblem(cancellation) is null)
                {
                    return true;
                }
            }
            catch (Exception e) when (e is RpcException or RefusalException or HttpRequestException)
            {
                // Not there yet.
            }

            await Task.Delay(AskEvery, cancellation);
        }

        return false;
    }

    private async Task<string?> StoreProblem(CancellationToken cancellation)
    {
        using var connection = await connect(cancellation);
        var health = await connection.Client.GetHealthAsync(new GetHealthRequest(), ControlPlaneConnection.Options(cancellation));
        return health.Problems.FirstOrDefault(p => p.Kind == "store")?.Text;
    }

    private static Timestamp Now() => Timestamp.FromDateTimeOffset(TimeProvider.System.GetUtcNow());
}
