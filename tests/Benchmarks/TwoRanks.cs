using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// Two rank processes that train as a gang of two, each with its own shell before it, told what to do as their agent would, until the
/// first has ended or let go of the gang.
/// </summary>
internal sealed class TwoRanks : IDisposable
{
    public const int LetGo = -1;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly OneOfTwo[] _ranks;

    private TwoRanks(IEnumerable<string> scripts) => _ranks = [.. scripts.Select(script => new OneOfTwo(script))];

    /// <param name="launch">Of the first rank; the second's is the same, with its own number.</param>
    /// <param name="signal">Sent to the second when it has made the step.</param>
    /// <returns>The first's exit code (LetGo where it let go, and waits for the next launch), and all that it printed.</returns>
    public static (int Code, string Output) Run(string first, string second, RankLaunch launch, string signal, long atStep)
    {
        using var ranks = new TwoRanks([first, second]);
        return ranks.RunToEnd(launch, signal, atStep);
    }

    public void Dispose()
    {
        foreach (var rank in _ranks)
        {
            rank.Dispose();
        }
    }

    private (int Code, string Output) RunToEnd(RankLaunch launch, string signal, long atStep)
    {
        int[] ports = [.. _ranks.Select(rank => rank.WaitReady())];
        launch.Assignment.WorldSize = 2;
        launch.Assignment.Ranks.Clear();
        launch.Assignment.Ranks.AddRange(
            ports.Select((_, rank) => new RankPlacement { Rank = rank, Node = "node-0", LocalRank = rank }));
        launch.Roster = new GangRoster { Gang = "run/pretrain", Term = 1, Token = "0123456789abcdef0123456789abcdef" };
        launch.Roster.Members.AddRange(
            ports.Select((port, rank) => new GangMember { Rank = rank, Host = "127.0.0.1", Port = port }));
        for (int rank = 0; rank < _ranks.Length; rank++)
        {
            var own = launch.Clone();
            own.Rank = rank;
            _ranks[rank].Begin(own, rank == 1 ? signal : "", atStep);
        }

        return _ranks[0].WaitEnd(Patience);
    }

    private sealed class OneOfTwo : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly StringBuilder _output = new();
        private readonly ManualResetEventSlim _letGo = new();
        private readonly Process _process;
        private NetworkStream? _link;

        public OneOfTwo(string script)
        {
            _listener.Start();
            _process = LoneRank.Start(script, ((IPEndPoint)_listener.LocalEndpoint).Port, Take);
        }

        /// <returns>The port at which other ranks reach it; 9, where nobody is, if it ended before it had one.</returns>
        public int WaitReady()
        {
            var accepted = _listener.AcceptTcpClientAsync();
            while (!accepted.Wait(20))
            {
                if (_process.HasExited)
                {
                    return 9;
                }
            }

            _link = accepted.Result.GetStream();
            while (LoneRank.Read(_link) is { } report)
            {
                if (report.Ready is { } ready)
                {
                    return ready.PeerPort;
                }
            }

            return 9;
        }

        public void Begin(RankLaunch launch, string signal, long atStep)
        {
            if (_link is not null)
            {
                var thread = new Thread(() => Talk(_link, launch, signal, atStep)) { IsBackground = true };
                thread.Start();
            }
        }

        /// <summary>Whoever lets go of the gang waits for its next launch, and is ended here.</summary>
        public (int Code, string Output) WaitEnd(TimeSpan patience)
        {
            var since = Stopwatch.StartNew();
            while (!_process.HasExited && !_letGo.IsSet && since.Elapsed < patience)
            {
                _ = _process.WaitForExit(20);
            }

            bool stays = !_process.HasExited;
            End();
            lock (_output)
            {
                return (_letGo.IsSet ? LetGo : stays ? 0 : _process.ExitCode, _output.ToString());
            }
        }

        public void Dispose()
        {
            End();
            _link?.Dispose();
            _listener.Dispose();
            _process.Dispose();
            _letGo.Dispose();
        }

        private void End()
        {
            if (!_process.HasExited)
            {
                _process.Kill(entireProcessTree: true);
            }

            _process.WaitForExit();
        }

        private void Talk(NetworkStream link, RankLaunch launch, string signal, long atStep)
        {
            try
            {
                LoneRank.Write(link, new RankOrder { Launch = launch });
                while (LoneRank.Read(link) is { } report)
                {
                    if (report.LeftGang is { } left)
                    {
                        Take($"let go: {left.Reason}");
                        _letGo.Set();
                    }
                    else if (report.Sample is { } sample && sample.Step == atStep && signal.Length > 0)
                    {
                        using var kill = Process.Start("kill", [$"-{signal}", _process.Id.ToString(CultureInfo.InvariantCulture)]);
                        kill.WaitForExit();
                    }
                }
            }
            catch (Exception gone) when (gone is IOException or ObjectDisposedException)
            {
                // It has ended, or is about to.
            }
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
}
