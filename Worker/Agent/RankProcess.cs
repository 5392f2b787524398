using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.Worker.Agent;

/// <summary>A rank process and its end of the link, seen from the agent.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001",
    Justification = "A semaphore that is asked for no wait handle holds nothing to dispose of.")]
internal sealed class RankProcess
{
    /// <summary>A line is cut here: a rank that prints without line ends must not fill memory.</summary>
    private const int LineChars = 16 * 1024;

    /// <summary>Lines that its agent has not looked at yet: 16 MB of the longest.</summary>
    private const int LinesAhead = 512;

    /// <summary>A grandchild may hold the pipes open after the rank is gone; the news of its end does not wait longer.</summary>
    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(1);

    private readonly Process _process;
    private readonly ChannelWriter<AgentNews> _news;
    private readonly TimeProvider _clock;
    private readonly TaskCompletionSource _reportsEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<RankOrder> _early = new();
    private readonly Lock _sending = new();
    private readonly SemaphoreSlim _room = new(LinesAhead);
    private Stream? _link;

    private RankProcess(int slot, string token, Process process, ChannelWriter<AgentNews> news, TimeProvider clock)
    {
        Slot = slot;
        Token = token;
        _process = process;
        _news = news;
        _clock = clock;
    }

    public int Slot { get; }

    /// <summary>Only this process knows it, so a connection that says it is this rank's.</summary>
    public string Token { get; }

    public int Pid => _process.Id;

    /// <summary>Call on the spawn thread.</summary>
    /// <param name="program">A .dll or an executable; null: this program's verb 'rank'.</param>
    public static RankProcess Start(int slot, string? program, int port, ChannelWriter<AgentNews> news, TimeProvider clock)
    {
        string path = program ?? OwnProgram();
        bool managed = path.EndsWith(".dll", StringComparison.OrdinalIgnoreCase);
        var start = new ProcessStartInfo(managed ? DotnetHost() : path)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        if (managed)
        {
            start.ArgumentList.Add(path);
        }

        start.ArgumentList.Add("rank");
        string token = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));
        start.Environment[RankLinkAddress.PortVariable] = port.ToString(CultureInfo.InvariantCulture);
        start.Environment[RankLinkAddress.TokenVariable] = token;
        start.Environment[RankEntry.ParentVariable] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        var process = Process.Start(start) ?? throw new System.ComponentModel.Win32Exception($"{path} did not start");
        process.StandardInput.Close();
        return new RankProcess(slot, token, process, news, clock);
    }

    /// <summary>Tells what the process prints, and its end after all else.</summary>
    public async Task Watch()
    {
        var pumps = Task.WhenAll(Pump(_process.StandardOutput, false), Pump(_process.StandardError, true));
        await _process.WaitForExitAsync();
        bool connected;
        lock (_sending)
        {
            connected = _link is not null;
        }

        try
        {
            await (connected ? Task.WhenAll(pumps, _reportsEnded.Task) : pumps).WaitAsync(DrainTime, _clock);
        }
        catch (TimeoutException)
        {
            _news.TryWrite(new AgentNews.Remark($"pid {Pid} has ended, but something it started still holds its output"));
        }

        _news.TryWrite(new AgentNews.Exited(Slot, _process.ExitCode));
        _process.Dispose();
    }

    /// <summary>Takes the link that said this rank's token, and passes on what comes by it until it closes.</summary>
    public async Task Attach(Stream link, RankHello hello, CancellationToken cancellation)
    {
        lock (_sending)
        {
            if (_link is not null)
            {
                throw new RankFrameException("a second connection with the token of one rank");
            }

            _link = link;
            while (_early.TryDequeue(out var order))
            {
                RankFrames.Write(link, order);
            }
        }

        try
        {
            _news.TryWrite(new AgentNews.Said(Slot, new RankReport { Hello = hello }));
            while (await RankFrames.Read(link, RankReport.Parser, cancellation) is { } report)
            {
                _news.TryWrite(new AgentNews.Said(Slot, report));
            }
        }
        finally
        {
            _reportsEnded.TrySetResult();
        }
    }

    /// <summary>Orders given before the process has connected wait for it.</summary>
    public void Send(RankOrder order)
    {
        lock (_sending)
        {
            if (_link is null)
            {
                _early.Enqueue(order);
                return;
            }

            try
            {
                RankFrames.Write(_link, order);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                // The rank has closed its end: it is about to be seen as ended.
                _news.TryWrite(new AgentNews.Remark($"pid {Pid} did not take '{order.KindCase}': {e.Message}"));
            }
        }
    }

    public void Kill()
    {
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // Gone, and told as ended.
        }
    }

    /// <summary>This worker: the program where it carries its own runtime, else the assembly for dotnet to run.</summary>
    private static string OwnProgram()
    {
        string assembly = typeof(RankProcess).Assembly.Location;
        string program = Path.ChangeExtension(assembly, null);
        return File.Exists(Path.Combine(Path.GetDirectoryName(assembly)!, "libcoreclr.so")) && File.Exists(program) ? program : assembly;
    }

    /// <summary>The dotnet that runs this very process: another one on the path might not have our runtime.</summary>
    private static string DotnetHost()
    {
        string host = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../../dotnet"));
        return File.Exists(host) ? host : "dotnet";
    }

    private async Task Pump(StreamReader output, bool error)
    {
        var buffer = new char[4096];
        var line = new StringBuilder();
        try
        {
            int read;
            while ((read = await output.ReadAsync(buffer)) > 0)
            {
                for (int i = 0; i < read; i++)
                {
                    if (buffer[i] != '\n')
                    {
                        line.Append(buffer[i]);
                    }

                    if (buffer[i] == '\n' || line.Length == LineChars)
                    {
                        await Print(line, error);
                    }
                }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            _news.TryWrite(new AgentNews.Remark($"the output of slot {Slot} broke off: {e.Message}"));
        }

        if (line.Length > 0)
        {
            await Print(line, error);
        }
    }

    private async Task Print(StringBuilder line, bool error)
    {
        string text = line.ToString().TrimEnd('\r');
        line.Clear();
        await _room.WaitAsync();
        _news.TryWrite(new AgentNews.Printed(
            Slot, new LogLine { At = Timestamp.FromDateTimeOffset(_clock.GetUtcNow()), Text = text, Error = error }, _room));
    }
}
