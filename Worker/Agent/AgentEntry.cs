using System.Globalization;
using System.Runtime.InteropServices;

namespace DeepSeekOps.Worker.Agent;

/// <summary>The verb 'agent'.</summary>
public static class AgentEntry
{
    /// <summary>SIGUSR1: end now, without a save. SIGINT would say the same, but a shell lets background processes ignore it.</summary>
    private const PosixSignal EndNow = (PosixSignal)10;

    public static async Task<int> Run(IReadOnlyList<string> args, ReadingHands reader)
    {
        var (options, problems) = AgentOptions.Parse(args);
        if (options is null)
        {
            Console.Error.WriteLine(string.Join('\n', problems));
            Console.Error.WriteLine(AgentOptions.Usage);
            return RankEntry.Usage;
        }

        options = options with
        {
            Token = Environment.GetEnvironmentVariable(AgentOptions.TokenVariable) ?? "",
            ControlPin = Environment.GetEnvironmentVariable(AgentOptions.PinVariable) ?? "",
        };
        if (ControlTrust.Problem(options.ControlPin) is { } problem)
        {
            Console.Error.WriteLine(problem);
            return RankEntry.Usage;
        }

        // Ranks run other people's code; what the agent may say is not for them.
        Environment.SetEnvironmentVariable(AgentOptions.TokenVariable, null);
        Environment.SetEnvironmentVariable(AgentOptions.PinVariable, null);
        Environment.SetEnvironmentVariable(RankEntry.PeerHostVariable, options.PeerHost);
        Directory.CreateDirectory(options.PodDirectory);
        // It outlives a control plane that is killed, and the terminal's Ctrl-C is not meant for it.
        Posix.BeginSession();
        using var agent = new NodeAgent(options, reader, TimeProvider.System, Log);
        using var terminate = Handle(PosixSignal.SIGTERM, "SIGTERM", save: true);
        using var endNow = Handle(EndNow, "SIGUSR1", save: false);
        Log($"agent {Environment.ProcessId} on {options.Node} for {options.Run}/{options.Stage}, gang {options.Attempt}");
        return await agent.Run();

        PosixSignalRegistration Handle(PosixSignal signal, string name, bool save) => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            agent.Signal(name, save);
        });
    }

    private static void Log(string text)
    {
        try
        {
            string at = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
            Console.WriteLine($"{at} {LogText.Escaped(text)}");
        }
        catch (IOException)
        {
            // A full disk must not end the agent: it has ranks to look after.
        }
    }
}
