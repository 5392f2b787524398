using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// A silo that is alone needs no port: grains of one process reach each other in memory. Orleans listens all the same, with a protocol that
/// asks nobody who they are; so what it would listen with, and what it would call a former silo's port with, is taken out. The silo's
/// address stays its name in the membership table, nothing more.
/// </summary>
internal static class NoSiloPort
{
    public static void UseNoSiloPort(this ISiloBuilder silo)
    {
        // Orleans keeps them under keys of its own, one for silos and one for clients.
        foreach (var listener in Keyed<IConnectionListenerFactory>(silo.Services))
        {
            silo.Services.Remove(listener);
            silo.Services.AddKeyedSingleton<IConnectionListenerFactory>(listener.ServiceKey, (_, _) => new Deaf());
        }
        foreach (var caller in Keyed<IConnectionFactory>(silo.Services))
        {
            silo.Services.Remove(caller);
            silo.Services.AddKeyedSingleton<IConnectionFactory>(caller.ServiceKey, (_, _) => new Mute());
        }
    }

    private static ServiceDescriptor[] Keyed<T>(IServiceCollection services)
    {
        ServiceDescriptor[] found = [.. services.Where(service => service.IsKeyedService && service.ServiceType == typeof(T))];
        return found.Length > 0 ? found
            : throw new InvalidOperationException($"Orleans no longer takes its connections from {typeof(T).Name}.");
    }

    private sealed class Deaf : IConnectionListenerFactory
    {
        public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
            ValueTask.FromResult<IConnectionListener>(new Nobody(endpoint));
    }

    private sealed class Nobody(EndPoint endpoint) : IConnectionListener
    {
        private readonly TaskCompletionSource<ConnectionContext?> ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public EndPoint EndPoint => endpoint;

        public ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) =>
            new(ended.Task.WaitAsync(cancellationToken));

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => DisposeAsync();

        public ValueTask DisposeAsync()
        {
            ended.TrySetResult(null);
            return ValueTask.CompletedTask;
        }
    }

    private sealed class Mute : IConnectionFactory
    {
        public ValueTask<ConnectionContext> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
            ValueTask.FromException<ConnectionContext>(new SocketException((int)SocketError.ConnectionRefused));
    }
}
