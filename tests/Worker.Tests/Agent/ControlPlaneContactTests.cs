using System.Threading.Channels;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

public sealed class ControlPlaneContactTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Only_a_beat_or_a_registration_says_whether_somebody_decides()
    {
        using var contact = Contact();
        contact.Take(Beat, new ControlPlaneAnswer.Replied(new WorkerReply()), Start);
        Assert.Null(contact.Alone(Start));

        var nobody = new ControlPlaneAnswer.Replied(new WorkerReply { Undecided = "it cannot write" });
        contact.Take(Beat, nobody, Start.AddSeconds(4));
        contact.Take(Logs, new ControlPlaneAnswer.Replied(new WorkerReply()), Start.AddSeconds(5));
        contact.Take(Logs, new ControlPlaneAnswer.NotNow("the store is away"), Start.AddSeconds(6));
        contact.Take(Beat, nobody, Start.AddSeconds(7));
        Assert.Equal((TimeSpan.FromSeconds(7), "it cannot write"), (contact.Alone(Start.AddSeconds(7)), contact.Undecided));
        Assert.True(contact.Registered);
    }

    private static ControlPlaneCall Beat => new ControlPlaneCall.Beat(new HeartbeatRequest());

    private static ControlPlaneCall Logs => new ControlPlaneCall.Logs(new LogBatch());

    private static ControlPlaneContact Contact() => new(
        new AgentOptions { Node = "node-0", Run = "mini", Stage = "pretrain", Attempt = 1, PodDirectory = "pod" },
        Channel.CreateUnbounded<AgentNews>().Writer, Start);
}
