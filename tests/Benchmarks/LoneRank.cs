using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf;

namespace DeepSeekOps.Benchmarks;

/// <summary>One rank process with whatever shell stands before it, told what to train as its agent would, until it has ended.</summary>
internal sealed class LoneRank : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly StringBuilder _output = new();

    private LoneRank() => _listener.Start();

    /// <param name="script">A bash script, in which $RANK is the rank's command.</param>
    /// <param name="launch">Null: it is told nothing.</param>
    /// <param name="signal">Sent when it has made the step; at step 0 as soon as it says hello.</param>
    /// <returns>Its exit code as a shell tells it, and all that it printed.</returns>
    public static (int Code, string Output) Run(string script, RankLaunch? launch, string signal, long atStep)
    {
        using var rank = new LoneRank();
        return rank.RunToEnd(script, launch, signal, atStep);
    }

    /// <summary>A rank behind a shell, which finds its agent at the port; each line that it prints is taken.</summary>
    public static Process Start(string script, int agentPort, Action<string?> take)
    {
        var start = new ProcessStartInfo("bash")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add(script);
        string worker = Path.Combine(Checkout.Root, "artifacts/bin/Worker/release/dsops-worker.dll");
        start.Environment["WORKER"] = $"dotnet {worker}";
        start.Environment["RANK"] = $"dotnet {worker} rank";
        start.Environment["DSOPS_RANK_PORT"] = agentPort.ToString(CultureInfo.InvariantCulture);
        start.Environment["DSOPS_RANK_TOKEN"] = "token";
        start.Environment["DSOPS_AGENT_PID"] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        var process = Process.Start(start) ?? throw new InvalidOperationException("bash did not start");
        process.OutputDataReceived += (_, line) => take(line.Data);
        process.ErrorDataReceived += (_, line) => take(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        process.StandardInput.Close();
        return process;
    }

    public void Dispose() => _listener.Dispose();

    private (int Code, string Output) RunToEnd(string script, RankLaunch? launch, string signal, long atStep)
    {
        using var process = Start(script, ((IPEndPoint)_listener.LocalEndpoint).Port, Take);
        var accepted = _listener.AcceptTcpClientAsync();
        while (!process.HasExited && !accepted.IsCompleted)
        {
            _ = process.WaitForExit(20);
        }

        if (accepted.IsCompletedSuccessfully && launch is not null)
        {
            using var client = accepted.Result;
            Talk(client.GetStream(), launch, process, signal, atStep);
        }

        if (!process.WaitForExit(Patience))
        {
            process.Kill(entireProcessTree: true);
        }

        process.WaitForExit();
        return (process.ExitCode, _output.ToString());
    }

    private static void Talk(NetworkStream link, RankLaunch launch, Process process, string signal, long atStep)
    {
        try
        {
            while (Read(link) is { } report)
            {
                switch (report.KindCase)
                {
                    case RankReport.KindOneofCase.Ready when signal == "close":
                        return;
                    case RankReport.KindOneofCase.Ready:
                        Write(link, new RankOrder { Launch = launch });
                        break;
                    case RankReport.KindOneofCase.Hello when atStep == 0 && signal.Length > 0 && signal != "close":
                    case RankReport.KindOneofCase.Sample when report.Sample.Step == atStep && signal.Length > 0:
                        using (var kill = Process.Start("kill", [$"-{signal}", process.Id.ToString(CultureInfo.InvariantCulture)]))
                        {
                            kill.WaitForExit();
                        }

                        break;
                    default:
                        break;
                }
            }
        }
        catch (IOException)
        {
            // It has ended, or is about to.
        }
    }

    public static void Write(NetworkStream link, RankOrder message)
    {
        byte[] frame = new byte[4 + message.CalculateSize()];
        BinaryPrimitives.WriteInt32BigEndian(frame, frame.Length - 4);
        message.WriteTo(frame.AsSpan(4));
        link.Write(frame);
    }

    public static RankReport? Read(Stream link)
    {
        byte[] header = new byte[4];
        if (link.ReadAtLeast(header, 4, throwOnEndOfStream: false) < 4)
        {
            return null;
        }

        byte[] body = new byte[BinaryPrimitives.ReadInt32BigEndian(header)];
        link.ReadExactly(body);
        return RankReport.Parser.ParseFrom(body);
    }

    private void Take(string? line)
    {
        if (line is not null)
        {
            lock (_output)
            {
                _output.AppendLine(line);
            }
        }
    }
}
