using System.Globalization;
using System.Net;
using System.Net.Sockets;
using DeepSeekOps.Decisions.Doctor;

namespace DeepSeekOps.ControlPlane.Hosting.Doctor;

/// <summary>Looks at this machine: limits, clock, ports.</summary>
internal static class MachineLook
{
    private const string SharedMemory = "/dev/shm", Limits = "/proc/self/limits", Pattern = "/proc/sys/kernel/core_pattern";

    /// <summary>Made by systemd-timesyncd when it has set the clock by a server.</summary>
    private const string TimeSync = "/run/systemd/timesync/synchronized";

    /// <summary>Of a Date header, which has whole seconds.</summary>
    private static readonly TimeSpan DateRounding = TimeSpan.FromSeconds(1);

    private static readonly string[] Tables = ["/proc/net/tcp", "/proc/net/tcp6"];

    /// <summary>TCP_LISTEN, as /proc/net/tcp has it.</summary>
    private const string Listening = "0A";

    public static MachineFacts Machine()
    {
        var shared = LinuxCalls.FileSystem(SharedMemory);
        return new MachineFacts
        {
            SharedMemoryBytes = shared?.TotalBytes, SharedMemoryFree = shared?.FreeBytes,
            OpenFiles = Limit("Max open files"), LockedMemory = Limit("Max locked memory"),
            CoreDump = Limit("Max core file size"), CorePattern = Line(Pattern, _ => true),
        };
    }

    public static ClockFacts Clock() => LinuxCalls.Clock() is { } kernel
        ? new ClockFacts(kernel.Synchronised, "the kernel", kernel.ErrorMax)
        : File.Exists(TimeSync) ? new ClockFacts(true, "systemd-timesyncd", null) : new ClockFacts(null, "", null);

    /// <summary>Where a start would listen, tried.</summary>
    /// <param name="ours">Of the control plane that has the data directory and runs.</param>
    public static IEnumerable<PortFacts> Ports(ControlPlaneOptions options, IReadOnlyCollection<int> ours)
    {
        var loopback = IPAddress.Loopback;
        var pages = new IPEndPoint(loopback, options.Port ?? ControlPlaneOptions.UsualPort);
        yield return Look(pages, "http", "--port", options.Port is not null, ours);
        if (options.GrpcPort is { } grpc)
        {
            yield return Look(new IPEndPoint(loopback, grpc), "grpc", "--grpc-port", asked: true, ours);
        }

        if (options.Agents is { } agents)
        {
            yield return Look(agents, "agents", "--agents", asked: true, ours);
        }

        if (options.Monitoring is { } monitoring)
        {
            yield return Look(monitoring, "monitoring", "--monitoring", asked: true, ours);
        }

        if (options.Https is { } https)
        {
            yield return Look(https, "https", "--https", asked: true, ours);
        }

        if (options.Silo is { } silo)
        {
            yield return Look(silo, "silo", "--silo", asked: true, ours);
        }
    }

    /// <summary>The time of a web server, by the header of any answer. Null: it has none.</summary>
    public static async Task<ClockOffset?> DateOf(Uri address, TimeProvider clock, TimeSpan patience, CancellationToken cancellation)
    {
        using var http = new HttpClient { Timeout = patience };
        try
        {
            var before = clock.GetUtcNow();
            long began = clock.GetTimestamp();
            using var request = new HttpRequestMessage(HttpMethod.Get, address);
            using var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
            var half = clock.GetElapsedTime(began) / 2;
            return answer.Headers.Date is { } date
                ? new ClockOffset(date + (DateRounding / 2) - (before + half), half + DateRounding) : null;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            return null;
        }
    }

    private static PortFacts Look(IPEndPoint at, string name, string option, bool asked, IReadOnlyCollection<int> ours)
    {
        var facts = new PortFacts(name, option, at.Address.ToString(), at.Port, asked);
        if (at.Port == 0)
        {
            return facts;
        }

        try
        {
            using var socket = new Socket(at.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            // As Kestrel binds: a port in TIME_WAIT after a restart is free.
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            socket.Bind(at);
            return facts;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            return facts with { InUse = true, ByOurs = ours.Contains(at.Port), By = Listener(at.Port) };
        }
        catch (SocketException e)
        {
            return facts with { Trouble = e.Message.TrimEnd('.') };
        }
    }

    /// <summary>Who listens there, as far as its process is ours to look at.</summary>
    private static string Listener(int port)
    {
        string hex = port.ToString("X4", CultureInfo.InvariantCulture);
        var sockets = Tables.SelectMany(Lines)
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(w => w.Length > 9 && w[3] == Listening && w[1].EndsWith(":" + hex, StringComparison.Ordinal))
            .Select(w => $"socket:[{w[9]}]").ToHashSet(StringComparer.Ordinal);
        string? process = sockets.Count == 0 || !Directory.Exists("/proc") ? null
            : Directory.EnumerateDirectories("/proc").Where(d => int.TryParse(Path.GetFileName(d), out _))
                .FirstOrDefault(d => Holds(d, sockets));
        return process is null ? "" : $"pid {Path.GetFileName(process)} ({Line(Path.Combine(process, "comm"), _ => true)})";
    }

    private static bool Holds(string process, HashSet<string> sockets)
    {
        try
        {
            return Directory.EnumerateFileSystemEntries(Path.Combine(process, "fd"))
                .Any(fd => new FileInfo(fd).LinkTarget is { } target && sockets.Contains(target));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It ended meanwhile, or is another user's.
            return false;
        }
    }

    /// <summary>"Max open files            1024                 1048576              files": the hard one.</summary>
    private static long? Limit(string name)
    {
        string[] words = Line(Limits, l => l.StartsWith(name, StringComparison.Ordinal)).Replace(name, "", StringComparison.Ordinal)
            .Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return words.Length < 2 ? null : words[1] == "unlimited" ? MachineFacts.Unlimited
            : long.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out long most) ? most : null;
    }

    private static string Line(string path, Func<string, bool> which) => Lines(path).FirstOrDefault(which)?.Trim() ?? "";

    private static IEnumerable<string> Lines(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
